//! Masked and read-only paths, by every name that they have.

use std::collections::BTreeMap;
use std::path::Path;
use testkit::report::Access;
use testkit::{Bed, identity};

#[test]
fn a1_34_hardware_interfaces_of_the_host_are_closed() {
    let bed = Bed::new("a1-34");
    let mut paths = identity::masked();
    paths.retain(|path| Path::new(path).exists());
    let args: Vec<&str> = ["access"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    let seen: BTreeMap<String, Access> = bed.probe(&bed.bundle(), &args).ok().json();
    for (path, access) in &seen {
        assert_eq!(access.read, "0", "{path}: {access:?}");
    }
    assert!(!seen.is_empty());
}

#[test]
fn c4_54_masks_hold_by_every_name() {
    let bed = Bed::new("c4-54");
    let masked: Vec<String> =
        identity::masked().into_iter().filter(|path| Path::new(path).exists()).collect();
    let mut paths = Vec::new();
    for path in &masked {
        for prefix in
            ["/proc/self/root", "/proc/1/root", "/proc/thread-self/root", "/proc/self/cwd", "/dev/fd/../root"]
        {
            paths.push(format!("{prefix}{path}"));
        }
    }
    let args: Vec<&str> = ["access"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    let seen: BTreeMap<String, Access> = bed.probe(&bed.bundle(), &args).ok().json();
    for (path, access) in &seen {
        let gone = access.kind == "ENOENT" || access.kind == "ENOTDIR";
        assert!(gone || access.read == "0", "{path}: {access:?}");
    }
}

#[test]
fn c4_54_masks_cannot_be_moved_or_removed() {
    let bed = Bed::new("c4-54m");
    let mut bundle = bed.bundle();
    let mut script = String::new();
    for path in identity::masked().iter().filter(|path| Path::new(path).exists()) {
        script += &format!("mv {path} /tmp/x 2>/dev/null && echo moved {path}\n");
        script += &format!("rm -rf {path} 2>/dev/null; test -e {path} || echo removed {path}\n");
        script += &format!("umount {path} 2>/dev/null && echo unmounted {path}\n");
    }
    bundle.sh(&(script + "true"));
    assert_eq!(bed.run(&bundle).ok().stdout, "");
}

#[test]
fn c4_54_read_only_paths_hold_by_every_name() {
    let bed = Bed::new("c4-54r");
    let mut paths = Vec::new();
    let files = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/hostname"];
    for path in files.into_iter().filter(|path| Path::new(path).exists()) {
        for prefix in ["", "/proc/self/root", "/proc/1/root", "/proc/thread-self/root"] {
            paths.push(format!("{prefix}{path}"));
        }
    }
    let args: Vec<&str> = ["access"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    let seen: BTreeMap<String, Access> = bed.probe(&bed.bundle(), &args).ok().json();
    for (path, access) in &seen {
        assert_eq!(access.write, "EROFS", "{path}: {access:?}");
    }
}
