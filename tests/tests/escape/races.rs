//! Paths that change while a container is made (attempt 47). A racer exchanges two names of a
//! volume as fast as it can; whatever the runtime does then, it does inside.

use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use testkit::canary::Canary;
use testkit::racer::Racer;
use testkit::{Bed, Bundle, beyond_reference, race_rounds};

/// The environment's `ROUNDS` makes more of them, for a soak.
const ROUNDS: usize = 60;

/// A volume in which `x` is a directory at one moment and a link to the canary at the next.
fn racing_volume(bed: &Bed, canary: &Canary, target: &str) -> (std::path::PathBuf, Racer) {
    let volume = bed.dir().join("volume");
    fs::create_dir_all(volume.join("x/t")).expect("volume");
    symlink(target.replace("CANARY", canary.dir().to_str().expect("a path of ours")), volume.join("y"))
        .expect("link");
    let racer = Racer::new(bed, &volume.join("x"), &volume.join("y"));
    (volume, racer)
}

fn no_mount_in(canary: &Canary) {
    let mounts = testkit::mountinfo::parse(&fs::read_to_string("/proc/self/mountinfo").expect("own mounts"));
    let dir = canary.dir().to_str().expect("a path of ours");
    let inside: Vec<_> = mounts.iter().filter(|mount| mount.point.starts_with(dir)).collect();
    assert!(inside.is_empty(), "{inside:?}");
}

/// Makes containers with a mount at a racing place; some are refused, none gets outside.
fn race(name: &str, target: &str, edit: impl Fn(&mut Bundle)) {
    let bed = Bed::new(name);
    beyond_reference!(bed, "directories made by descriptor, which runc does from 1.1.14 (CVE-2024-45310)");
    let canary = Canary::new(&bed.dir().join("canary"));
    let (volume, racer) = racing_volume(&bed, &canary, target);
    let mut bundle = bed.bundle();
    bundle.args(&["/bin/true"]).mount("/volume", "bind", &volume, &["rbind", "rw"]);
    edit(&mut bundle);
    let mut succeeded = 0;
    for _ in 0..race_rounds(ROUNDS) {
        let output = bed.run(&bundle);
        succeeded += usize::from(output.code == 0);
        canary.assert_untouched();
        no_mount_in(&canary);
    }
    drop(racer);
    bed.say(format_args!("{succeeded} containers ran"));
}

#[test]
fn a1_05_c4_47_proc_on_a_shared_volume() {
    race("a1-05", "CANARY", |bundle| {
        bundle.mount("/volume/x/t", "proc", "proc", &[]);
    });
}

#[test]
fn a1_08_c4_47_mount_target_is_exchanged() {
    race("a1-08", "CANARY", |bundle| {
        bundle.mount("/volume/x/t", "tmpfs", "tmpfs", &[]);
        bundle.mount("/volume/x/t/bind", "bind", "/usr", &["rbind", "ro"]);
    });
}

#[test]
fn a1_08_c4_47_mount_target_is_exchanged_with_a_relative_link() {
    race("a1-08r", "../../../../../../..CANARY", |bundle| {
        bundle.mount("/volume/x/t", "tmpfs", "tmpfs", &[]);
    });
}

#[test]
fn a1_16_c4_47_directories_are_made_inside() {
    race("a1-16", "CANARY", |bundle| {
        bundle.mount("/volume/x/a/b/c/d", "tmpfs", "tmpfs", &[]);
        bundle.mount("/volume/x/f/g/file", "bind", "/etc/hostname", &["bind"]);
    });
}

#[test]
fn a1_16_c4_47_working_directory_is_made_inside() {
    race("a1-16w", "CANARY", |bundle| {
        bundle.set("/process/cwd", json!("/volume/x/made/for/you"));
    });
}

#[test]
fn a1_19_c4_47_read_only_and_masked_paths_on_a_volume() {
    race("a1-19r", "CANARY", |bundle| {
        bundle.push("/linux/maskedPaths", json!("/volume/x/t"));
        bundle.push("/linux/readonlyPaths", json!("/volume/x"));
    });
}

#[test]
fn a1_17_a1_22_c4_47_null_device_is_exchanged() {
    let bed = Bed::new("a1-22");
    beyond_reference!(bed, "a check of the null device, which runc has from 1.2.8");
    let before = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let mut bundle = bed.bundle();
    for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.without_mount(point);
    }
    let null = rustix::fs::makedev(1, 3);
    let (kind, mode) = (rustix::fs::FileType::CharacterDevice, rustix::fs::Mode::from_raw_mode(0o666));
    rustix::fs::mknodat(rustix::fs::CWD, bundle.rootfs("dev/null"), kind, mode, null).unwrap();
    symlink("/proc/sys/kernel/core_pattern", bundle.rootfs("dev/evil")).unwrap();
    let racer = Racer::new(&bed, &bundle.rootfs("dev/null"), &bundle.rootfs("dev/evil"));
    bundle.set("/linux/maskedPaths", json!(["/proc/timer_list", "/proc/interrupts"]));
    bundle.args(&["/probe", "access", "/proc/timer_list", "/proc/interrupts"]);
    let mut ran = 0;
    for _ in 0..race_rounds(ROUNDS) {
        let output = bed.run(&bundle);
        if output.code != 0 {
            continue;
        }
        ran += 1;
        let seen: serde_json::Value = output.json();
        for (path, access) in seen.as_object().unwrap() {
            assert!(access["read"] == "0" || access["kind"] == "ENOENT", "{path}: {access}");
        }
    }
    drop(racer);
    bed.say(format_args!("{ran} containers ran"));
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}
