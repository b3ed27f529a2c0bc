//! Cgroup limits: as the kernel holds them, and what they do.

use serde_json::json;
use std::fs;
use testkit::{Bed, beyond_reference, cgroups, require};

/// A limit in the spec, and its file and value in version 1 and 2.
struct Limit {
    controller: &'static str,
    pointer: &'static str,
    value: serde_json::Value,
    v1: &'static [(&'static str, &'static str)],
    v2: &'static [(&'static str, &'static str)],
}

fn limits() -> Vec<Limit> {
    vec![
        Limit {
            controller: "memory",
            pointer: "/linux/resources/memory",
            value: json!({ "limit": 64 << 20, "reservation": 32 << 20 }),
            v1: &[("memory.limit_in_bytes", "67108864"), ("memory.soft_limit_in_bytes", "33554432")],
            v2: &[("memory.max", "67108864"), ("memory.low", "33554432")],
        },
        Limit {
            controller: "cpu",
            pointer: "/linux/resources/cpu",
            value: json!({ "shares": 512, "quota": 20_000, "period": 50_000 }),
            v1: &[("cpu.shares", "512"), ("cpu.cfs_quota_us", "20000"), ("cpu.cfs_period_us", "50000")],
            v2: &[("cpu.max", "20000 50000")],
        },
        Limit {
            controller: "cpuset",
            pointer: "/linux/resources/cpu",
            value: json!({ "cpus": "0", "mems": "0" }),
            v1: &[("cpuset.cpus", "0"), ("cpuset.mems", "0")],
            v2: &[("cpuset.cpus", "0"), ("cpuset.mems", "0")],
        },
        Limit {
            controller: "pids",
            pointer: "/linux/resources/pids",
            value: json!({ "limit": 17 }),
            v1: &[("pids.max", "17")],
            v2: &[("pids.max", "17")],
        },
    ]
}

#[test]
fn limits_are_in_the_kernel() {
    let bed = Bed::new("limits");
    for limit in limits() {
        require!(cgroups::controller(limit.controller).is_some(), "no controller {}", limit.controller);
        let mut bundle = bed.bundle();
        bundle.set(limit.pointer, limit.value);
        let container = super::idle(&bed, &mut bundle);
        let expected = if cgroups::is_unified() { limit.v2 } else { limit.v1 };
        for (file, value) in expected {
            assert_eq!(cgroups::value(limit.controller, bundle.cgroup(), file), *value, "{file}");
        }
        container.delete_force().ok();
    }
}

#[test]
fn init_is_in_every_hierarchy() {
    let bed = Bed::new("limcg");
    let mut bundle = bed.bundle();
    let container = super::idle(&bed, &mut bundle);
    let own = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).unwrap();
    for line in own.lines() {
        let (hierarchy, path) = line.rsplit_once(':').unwrap();
        assert_eq!(path, bundle.cgroup(), "{hierarchy}");
    }
}

#[test]
fn the_pids_limit_ends_a_fork_bomb() {
    let bed = Bed::new("limpids");
    let mut bundle = bed.bundle();
    bundle.set("/linux/resources/pids", json!({ "limit": 10 }));
    bundle.sh("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done; wait");
    let output = bed.run(&bundle);
    assert!(output.stderr.contains("fork"), "{output:?}");
}

#[test]
fn the_memory_limit_kills() {
    let bed = Bed::new("limmem");
    let mut bundle = bed.bundle();
    bundle.set("/linux/resources/memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }));
    bundle.sh("x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done");
    assert_eq!(bed.run(&bundle).code, 128 + 9);
}

#[test]
fn the_cpuset_binds() {
    let bed = Bed::new("limset");
    let mut bundle = bed.bundle();
    bundle.set("/linux/resources/cpu", json!({ "cpus": "0" }));
    assert_eq!(bed.run(&bundle).report().allowed["Cpus_allowed_list"], "0");
}

#[test]
fn device_rules_of_the_spec() {
    let bed = Bed::new("limdev");
    let mut bundle = bed.bundle();
    bundle.push(
        "/linux/resources/devices",
        json!({ "allow": true, "type": "b", "major": 7, "minor": 0, "access": "r" }),
    );
    bundle.sh("mknod /tmp/loop b 7 0; mknod /tmp/other b 7 1; exec /probe access /tmp/loop /tmp/other");
    let seen: std::collections::BTreeMap<String, testkit::report::Access> = bed.run(&bundle).ok().json();
    // Without a driver it does not open either, but then that is not for want of permission.
    assert_ne!(seen["/tmp/loop"].read, "EPERM", "{seen:?}");
    assert_eq!(seen["/tmp/loop"].write, "EPERM", "{seen:?}");
    assert_eq!(seen["/tmp/other"].read, "EPERM", "{seen:?}");
}

#[test]
fn values_that_the_kernel_refuses_are_an_error_that_names_the_file() {
    let bed = Bed::new("limbad");
    let mut bundle = bed.bundle();
    bundle.set("/linux/resources/cpu", json!({ "cpus": "0-4095", "mems": "0" })).args(&["/bin/true"]);
    let error = bed.run(&bundle).refused();
    assert!(error.contains("cpus"), "{error}");
}

#[test]
fn limits_that_cannot_be_held_are_refused() {
    let bed = Bed::new("limno");
    beyond_reference!(bed, "limits that are never dropped silently");
    for (pointer, value, named) in [
        ("/linux/resources/hugepageLimits", json!([{ "pageSize": "3MB", "limit": 1 }]), "3MB"),
        ("/linux/resources/rdma", json!({ "nodev0": { "hcaHandles": 1 } }), "rdma"),
    ] {
        let mut bundle = bed.bundle();
        bundle.set(pointer, value).args(&["/bin/true"]);
        let error = bed.run(&bundle).refused();
        assert!(error.contains(named), "{pointer}: {error}");
    }
}

#[test]
fn unified_keys_of_version_2() {
    let bed = Bed::new("limuni");
    let mut bundle = bed.bundle();
    bundle.set("/linux/resources/unified", json!({ "pids.max": "33", "memory.high": "50000000" }));
    if cgroups::is_unified() {
        let _container = super::idle(&bed, &mut bundle);
        assert_eq!(cgroups::value("pids", bundle.cgroup(), "pids.max"), "33");
        assert_eq!(cgroups::value("memory", bundle.cgroup(), "memory.high"), "49999872");
    } else {
        bundle.args(&["/bin/true"]);
        bed.run(&bundle).refused();
    }
}

#[test]
fn a_path_below_another_cgroup() {
    let bed = Bed::new("limpath");
    let mut bundle = bed.bundle();
    let parent = bundle.cgroup().to_owned();
    bundle.set("/linux/cgroupsPath", format!("{parent}/{}-child", bed.id()).into());
    let container = super::idle(&bed, &mut bundle);
    let own = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).unwrap();
    assert!(own.lines().all(|line| line.ends_with(bundle.cgroup())), "{own}");
    container.delete_force().ok();
    container.wait();
    // The parent is the caller's business.
    for hierarchy in cgroups::hierarchies() {
        let dir = hierarchy.join(parent.trim_start_matches('/'));
        if dir.is_dir() {
            fs::remove_dir(&dir).unwrap();
        }
    }
}

#[test]
fn huge_pages() {
    let bed = Bed::new("limhuge");
    beyond_reference!(bed, "the version 2 controllers of a hybrid layout");
    let sizes: Vec<_> = cgroups::hierarchies()
        .into_iter()
        .filter(|hierarchy| {
            fs::read_to_string(hierarchy.join("cgroup.controllers"))
                .is_ok_and(|known| known.contains("hugetlb"))
                || hierarchy.ends_with("hugetlb")
        })
        .collect();
    require!(!sizes.is_empty(), "no hugetlb controller");
    let mut bundle = bed.bundle();
    bundle.set("/linux/resources/hugepageLimits", json!([{ "pageSize": "2MB", "limit": 4 << 20 }]));
    let _container = super::idle(&bed, &mut bundle);
    let dir = sizes[0].join(bundle.cgroup().trim_start_matches('/'));
    let read = |file: &str| fs::read_to_string(dir.join(file)).ok();
    let value = read("hugetlb.2MB.max").or_else(|| read("hugetlb.2MB.limit_in_bytes"));
    assert_eq!(value.as_deref().map(str::trim), Some("4194304"));
}

#[test]
fn block_device_throttling() {
    let bed = Bed::new("limblk");
    // Any disk will do; memory disks and loops have no queue to throttle.
    let mut disks = fs::read_dir("/sys/block").unwrap().flatten();
    let disk = disks.find(|disk| {
        let name = disk.file_name().to_string_lossy().into_owned();
        ["vd", "sd", "nvme", "xvd"].iter().any(|prefix| name.starts_with(prefix))
    });
    require!(disk.is_some(), "no disk");
    let number = fs::read_to_string(disk.unwrap().path().join("dev")).unwrap();
    let (major, minor) = number.trim().split_once(':').unwrap();
    let (major, minor): (i64, i64) = (major.parse().unwrap(), minor.parse().unwrap());
    let mut bundle = bed.bundle();
    let rate = json!([{ "major": major, "minor": minor, "rate": 1 << 20 }]);
    bundle.set(
        "/linux/resources/blockIO",
        json!({ "throttleReadBpsDevice": rate, "throttleWriteIOPSDevice": rate }),
    );
    let _container = super::idle(&bed, &mut bundle);
    let expected = format!("{major}:{minor}");
    if cgroups::is_unified() {
        let value = cgroups::value("io", bundle.cgroup(), "io.max");
        assert_eq!(value, format!("{expected} rbps=1048576 wbps=max riops=max wiops=1048576"));
    } else {
        for file in ["blkio.throttle.read_bps_device", "blkio.throttle.write_iops_device"] {
            assert_eq!(
                cgroups::value("blkio", bundle.cgroup(), file),
                format!("{expected} 1048576"),
                "{file}"
            );
        }
    }
}
