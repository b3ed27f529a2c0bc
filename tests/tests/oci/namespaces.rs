//! Namespaces: new, shared with the host, joined.

use super::idle;
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;
use testkit::{Bed, beyond_reference};

fn inode(process: &str, kind: &str) -> u64 {
    fs::metadata(format!("/proc/{process}/ns/{kind}")).expect("a process of ours").ino()
}

#[test]
fn what_is_not_listed_is_shared() {
    let bed = Bed::new("nsshare");
    for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")] {
        let mut bundle = bed.bundle();
        bundle.without_namespace(kind);
        // Settings and names of a namespace need one.
        bundle.remove("/linux/sysctl");
        if kind == "uts" {
            bundle.remove("/hostname");
        }
        if kind == "ipc" {
            bundle.without_mount("/dev/mqueue");
        }
        if kind == "network" {
            bundle.without_mount("/sys").without_mount("/sys/fs/cgroup");
            bundle.mount("/sys", "bind", "/sys", &["rbind", "ro"]);
        }
        let report = bed.run(&bundle).report();
        assert_eq!(report.namespaces[file], inode("self", file), "{kind}");
    }
}

#[test]
fn namespaces_of_another_container_are_joined() {
    let bed = Bed::new("nsjoin");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    let pid = container.pid().to_string();
    for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")] {
        let mut joining = bed.bundle();
        joining.join_namespace(kind, format!("/proc/{pid}/ns/{file}"));
        joining.remove("/linux/sysctl").remove("/hostname");
        let report = bed.run(&joining).report();
        assert_eq!(report.namespaces[file], inode(&pid, file), "{kind}");
        assert_ne!(report.namespaces["mnt"], inode(&pid, "mnt"), "{kind}");
    }
}

#[test]
fn a_cgroup_namespace_shows_the_own_cgroup_as_root() {
    let bed = Bed::new("nscg");
    let mut bundle = bed.bundle();
    bundle.without_namespace("cgroup").push("/linux/namespaces", json!({ "type": "cgroup" }));
    let report = bed.run(&bundle).report();
    assert_ne!(report.namespaces["cgroup"], inode("self", "cgroup"));
    for (hierarchy, path) in &report.cgroups {
        assert_eq!(path, "/", "hierarchy {hierarchy:?}");
    }
}

#[test]
fn paths_that_are_no_namespaces_are_refused() {
    let bed = Bed::new("nsbad");
    for path in ["/no/such/namespace", "/etc/passwd", "/proc/self/ns/uts"] {
        let mut bundle = bed.bundle();
        bundle.join_namespace("network", path).args(&["/bin/true"]);
        bed.run(&bundle).refused();
    }
}

#[test]
fn a_namespace_is_listed_once() {
    let bed = Bed::new("nstwice");
    let mut bundle = bed.bundle();
    bundle.push("/linux/namespaces", json!({ "type": "uts" })).args(&["/bin/true"]);
    bed.run(&bundle).refused();
}

#[test]
fn an_unknown_namespace_is_refused() {
    let bed = Bed::new("nsunk");
    let mut bundle = bed.bundle();
    bundle.push("/linux/namespaces", json!({ "type": "dreams" })).args(&["/bin/true"]);
    let error = bed.run(&bundle).refused();
    assert!(error.contains("dreams"), "{error}");
}

#[test]
fn clocks_have_offsets_in_a_time_namespace() {
    let bed = Bed::new("nstime");
    beyond_reference!(bed, "time namespaces, which runc knows from 1.2");
    let mut bundle = bed.bundle();
    bundle.set(
        "/linux/timeOffsets",
        json!({ "boottime": { "secs": 1_000_000 }, "monotonic": { "secs": 77, "nanosecs": 5 } }),
    );
    let report = bed.run(&bundle).report();
    assert_eq!(report.time_offsets["boottime"], (1_000_000, 0));
    assert_eq!(report.time_offsets["monotonic"], (77, 5));
    bundle.sh("read up rest < /proc/uptime; echo ${up%.*}");
    let uptime: u64 = bed.run(&bundle).ok().stdout.trim().parse().unwrap();
    assert!(uptime > 1_000_000, "{uptime}");
}

#[test]
fn host_and_domain_name() {
    let bed = Bed::new("nsname");
    let mut bundle = bed.bundle();
    bundle.set("/hostname", "some-host.example".into());
    if bed.is_product() {
        bundle.set("/domainname", "some.domain".into());
    }
    let report = bed.run(&bundle).report();
    assert_eq!(report.hostname, "some-host.example");
    if bed.is_product() {
        assert_eq!(report.domainname, "some.domain");
    }
    let mut bundle = bed.bundle();
    bundle.without_namespace("uts").args(&["/bin/true"]);
    // The name would be the host's.
    bed.run(&bundle).refused();
    assert_ne!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(), "longshore");
}

#[test]
fn loopback_of_a_new_network_namespace_is_up() {
    let bed = Bed::new("nslo");
    let mut bundle = bed.bundle();
    bundle.args(&["/bin/cat", "/sys/class/net/lo/flags"]);
    let flags = bed.run(&bundle).ok().stdout;
    // IFF_UP
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap();
    assert_eq!(flags & 1, 1, "{flags:x}");
}
