//! Cgroups from inside.

use serde_json::json;
use testkit::{Bed, beyond_reference, cgroups, require, rounds};

const LIMIT: u64 = 64 << 20;

fn memory_limit(cgroup: &str) -> String {
    let file = if cgroups::is_unified() { "memory.max" } else { "memory.limit_in_bytes" };
    cgroups::value("memory", cgroup, file)
}

#[test]
fn a1_13_another_users_root_does_not_write_cgroups() {
    let bed = Bed::new("a1-13");
    let mut bundle = bed.bundle();
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
    bundle.push("/linux/namespaces", json!({ "type": "user" }));
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    bundle.without_namespace("cgroup").remove("/linux/sysctl");
    bundle.retain("/mounts", |mount| mount["destination"] != "/sys/fs/cgroup");
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev"]);
    rustix::fs::chmod(bed.dir(), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
    let report = bed.run(&bundle).report();
    assert_eq!(report.uid_map, [(0, 100_000, 65536)]);
    assert!(!report.cgroup_writes.is_empty());
    for (point, verdict) in &report.cgroup_writes {
        assert!(["EACCES", "EROFS", "EPERM"].contains(&verdict.as_str()), "{point}: {verdict}");
    }
}

#[test]
fn a1_33_annotations_do_not_touch_limits() {
    let bed = Bed::new("a1-33");
    require!(cgroups::controller("memory").is_some(), "no memory controller");
    let mut bundle = bed.bundle();
    bundle.set("/linux/resources/memory", json!({ "limit": LIMIT }));
    bundle.set(
        "/annotations",
        json!({
            "io.kubernetes.cri-o.UnifiedCgroup": "memory.max=max",
            "run.oci.cgroup": "memory.max=max",
            "unified": "memory.max=max",
            "org.systemd.property.MemoryMax": "uint64 1",
        }),
    );
    bundle.sh("echo ready; sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    assert_eq!(memory_limit(bundle.cgroup()), LIMIT.to_string());
}

#[test]
fn a1_31_systemd_annotations_are_ignored_without_systemd() {
    let bed = Bed::new("a1-31");
    let mut bundle = bed.bundle();
    bundle.set(
        "/annotations",
        json!({ "org.systemd.property.TasksMax": "uint64 1", "org.systemd.property.ExecStart": "'/bin/touch'" }),
    );
    bundle.sh("sleep 0 & sleep 0 & wait; echo both");
    assert_eq!(bed.run(&bundle).ok().stdout, "both\n");
}

#[test]
fn c4_53_nothing_under_the_cgroup_mount_is_writable() {
    let bed = Bed::new("c4-53");
    let writable: Vec<String> = bed.probe(&bed.bundle(), &["writable", "/sys/fs/cgroup"]).ok().json();
    assert!(writable.is_empty(), "{writable:?}");
    for (point, verdict) in bed.run(&bed.bundle()).report().cgroup_writes {
        assert_eq!(verdict, "EROFS", "{point}");
    }
}

#[test]
fn c4_53_the_cgroup_shown_is_the_containers_own() {
    let bed = Bed::new("c4-53s");
    let bundle = bed.bundle();
    let report = bed.run(&bundle).report();
    for (hierarchy, path) in &report.cgroups {
        let expected = if cgroups::is_unified() { "/" } else { bundle.cgroup() };
        assert_eq!(path, expected, "hierarchy {hierarchy:?}");
    }
    // Nothing of the host's tree above it.
    for mount in report.mounts.iter().filter(|mount| mount.kind.starts_with("cgroup")) {
        let root_shown = if cgroups::is_unified() { "/" } else { bundle.cgroup() };
        assert_eq!(mount.root, root_shown, "{mount:?}");
    }
}

#[test]
fn c4_53_limits_stay_after_many_execs() {
    let bed = Bed::new("c4-53e");
    require!(cgroups::controller("pids").is_some(), "no pids controller");
    let mut bundle = bed.bundle();
    bundle.set("/linux/resources/memory", json!({ "limit": LIMIT }));
    bundle.set("/linux/resources/pids", json!({ "limit": 33 }));
    bundle.sh("echo ready; sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    for _ in 0..rounds(60) {
        container.exec(&["/bin/true"]).ok();
    }
    assert_eq!(memory_limit(bundle.cgroup()), LIMIT.to_string());
    assert_eq!(cgroups::value("pids", bundle.cgroup(), "pids.max"), "33");
    assert_eq!(cgroups::value("pids", bundle.cgroup(), "pids.current"), "1");
}

#[test]
fn c4_53_execs_are_in_the_containers_cgroup() {
    let bed = Bed::new("c4-53j");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    let cgroups_of =
        |process: &str| container.exec(&["/bin/cat", &format!("/proc/{process}/cgroup")]).ok().stdout;
    assert_eq!(cgroups_of("self"), cgroups_of("1"));
}

#[test]
fn a1_33_a_limit_that_the_kernel_cannot_hold_is_refused() {
    let bed = Bed::new("a1-33u");
    beyond_reference!(bed, "limits that are never dropped silently");
    let mut bundle = bed.bundle();
    bundle.args(&["/bin/true"]);
    bundle.set("/linux/resources/unified", json!({ "no.such.file": "1" }));
    let error = bed.run(&bundle).refused();
    assert!(error.contains("no.such.file") || error.contains("unified"), "{error}");
}
