//! Sysctls and strings that try to be something else.

use serde_json::json;
use std::fs;
use testkit::{Bed, beyond_reference};

/// Runs with one more sysctl, which has to be refused.
fn refused_sysctl(bed: &Bed, key: &str, value: &str, without: &str) -> String {
    let mut bundle = bed.bundle();
    bundle.args(&["/bin/true"]).remove("/linux/sysctl");
    if !without.is_empty() {
        bundle.without_namespace(without);
    }
    bundle.set("/linux/sysctl", json!({ key: value }));
    bed.run(&bundle).refused()
}

fn core_pattern() -> String {
    fs::read_to_string("/proc/sys/kernel/core_pattern").expect("a setting of every kernel")
}

#[test]
fn a1_09_long_strings_are_a_clean_error() {
    let bed = Bed::new("a1-09");
    for length in [65_535, 65_536, 70_000, 1 << 20] {
        let long = "x".repeat(length);
        let mut bundle = bed.bundle();
        bundle.args(&["/bin/true"]).mount("/mnt", "bind", format!("/{long}"), &["bind"]);
        bed.run(&bundle).refused();
        let mut bundle = bed.bundle();
        bundle.args(&["/bin/true"]).join_namespace("uts", format!("/{long}"));
        bed.run(&bundle).refused();
    }
}

#[test]
fn a1_09_long_id_maps_are_not_cut() {
    let bed = Bed::new("a1-09m");
    let mut bundle = bed.bundle();
    bundle.args(&["/probe"]).push("/linux/namespaces", json!({ "type": "user" })).remove("/linux/sysctl");
    // 341 lines of text longer than a page; the kernel takes at most 340 extents.
    let map: Vec<_> = (0..341)
        .map(|at| json!({ "containerID": at, "hostID": 1_000_000_000 + at * 2, "size": 1 }))
        .collect();
    bundle.set("/linux/uidMappings", json!(map)).set("/linux/gidMappings", json!(map));
    bed.run(&bundle).refused();
}

#[test]
fn a1_19_nothing_can_stand_in_for_files_of_proc() {
    let bed = Bed::new("a1-19");
    beyond_reference!(bed, "refusing every mount inside of /proc, not binds alone");
    let before = core_pattern();
    for point in ["/proc/self/attr", "/proc/sys", "/proc/sys/net", "/proc/self", "/proc/1"] {
        let mut bundle = bed.bundle();
        bundle.args(&["/bin/true"]).mount(point, "tmpfs", "tmpfs", &[]);
        bed.run(&bundle).refused();
    }
    assert_eq!(core_pattern(), before);
}

#[test]
fn a1_29_settings_of_the_whole_kernel_are_refused() {
    let bed = Bed::new("a1-29");
    let before = core_pattern();
    for (key, value) in [
        ("kernel.core_pattern", "|/tmp/x %p"),
        ("kernel/core_pattern", "|/tmp/x"),
        ("net.ipv4.../../../kernel/core_pattern", "|/tmp/x"),
        ("net/../kernel/core_pattern", "|/tmp/x"),
        ("kernel.modprobe", "/tmp/x"),
        ("vm.drop_caches", "1"),
        ("fs.file-max", "1000000"),
        ("", "1"),
    ] {
        let error = refused_sysctl(&bed, key, value, "");
        assert!(key.is_empty() || error.contains(key.split(['/', '.']).next().unwrap()), "{key}: {error}");
    }
    assert_eq!(core_pattern(), before);
}

#[test]
fn a1_29_a_value_is_one_value() {
    let bed = Bed::new("a1-29v");
    beyond_reference!(bed, "a check of the value");
    let before = core_pattern();
    for value in ["1\nkernel.core_pattern=|/tmp/x", "1+kernel.core_pattern=x", "1,2=3"] {
        refused_sysctl(&bed, "kernel.shm_rmid_forced", value, "");
    }
    assert_eq!(core_pattern(), before);
}

#[test]
fn a1_32_settings_of_shared_namespaces_are_refused() {
    let bed = Bed::new("a1-32");
    let forwarding = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    let error = refused_sysctl(&bed, "net.ipv4.ip_forward", "1", "network");
    assert!(error.contains("net.ipv4.ip_forward"), "{error}");
    assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), forwarding);
    let shared = fs::read_to_string("/proc/sys/kernel/shmmni").unwrap();
    let error = refused_sysctl(&bed, "kernel.shmmni", "77", "ipc");
    assert!(error.contains("kernel.shmmni"), "{error}");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/shmmni").unwrap(), shared);
}
