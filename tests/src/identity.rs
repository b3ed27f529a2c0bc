//! The identity that a container has when its user asked for nothing: Docker's, as facts.
//!
//! These tables are the tests' own and are compared with the product's, so they are not taken
//! from it. Sources: moby `daemon/pkg/oci/defaults.go`, `oci_linux.go`, `caps/defaults.go`, and
//! `moby/profiles/seccomp` v0.2.3 resolved for x86-64 and these capabilities.

use crate::cgroups;
use serde_json::{Value, json};
use std::fs;

/// The capabilities, in bounding, permitted and effective.
pub const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// The same as a mask.
pub const CAPABILITY_MASK: u64 = 0xa804_25fb;

/// Paths that show nothing.
pub const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths that cannot be written.
pub const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Destination, type, options that the mount must show.
pub const MOUNTS: &[(&str, &str, &[&str])] = &[
    ("/proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    ("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
    ("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]),
];

/// Character devices that open: the rules that Docker gives and those that runc adds.
pub const DEVICES: &[&str] =
    &["c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9", "c 5:0", "c 5:1", "c 5:2", "c 10:200"];

/// Major number of the pseudo terminals, which open as well.
pub const PSEUDO_TERMINALS: u32 = 136;

/// Sysctls of a container with a network namespace and without a user namespace.
pub const SYSCTLS: &[(&str, &str)] =
    &[("net.ipv4.ping_group_range", "0 2147483647"), ("net.ipv4.ip_unprivileged_port_start", "0")];

/// The default spec. `/process/args` runs the probe; there is no cgroup path.
pub fn spec(time_namespace: bool) -> Value {
    let mounts: Vec<Value> = MOUNTS
        .iter()
        .map(|(destination, kind, options)| {
            json!({ "destination": destination, "type": kind, "source": kind, "options": options })
        })
        .collect();
    let mut namespaces = vec!["mount", "network", "uts", "pid", "ipc"];
    if time_namespace {
        namespaces.push("time");
    }
    if cgroups::is_unified() {
        namespaces.push("cgroup");
    }
    let namespaces: Vec<Value> = namespaces.into_iter().map(|kind| json!({ "type": kind })).collect();
    let sysctl: serde_json::Map<String, Value> =
        SYSCTLS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "ociVersion": "1.0.2",
        "hostname": "longshore",
        "root": { "path": "rootfs" },
        "process": {
            "user": { "uid": 0, "gid": 0, "additionalGids": [0] },
            "args": ["/probe"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": { "bounding": CAPABILITIES, "permitted": CAPABILITIES, "effective": CAPABILITIES },
            "oomScoreAdj": 0,
        },
        "mounts": mounts,
        "linux": {
            "namespaces": namespaces,
            "sysctl": sysctl,
            "maskedPaths": masked(),
            "readonlyPaths": READ_ONLY,
            "resources": { "devices": device_rules() },
            "seccomp": seccomp(),
        },
    })
}

/// [`MASKED`] and the thermal throttle counters of each CPU that has them.
pub fn masked() -> Vec<String> {
    let mut paths: Vec<String> = MASKED.iter().map(|path| (*path).to_owned()).collect();
    for entry in fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten() {
        let path = entry.path().join("thermal_throttle");
        if path.is_dir() {
            paths.push(path.display().to_string());
        }
    }
    paths
}

/// The rules that Docker gives; the runtime adds its own.
fn device_rules() -> Value {
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    for (major, minor) in [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)] {
        rules.push(json!({ "allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm" }));
    }
    rules.push(json!({ "allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm" }));
    Value::Array(rules)
}

/// The default filter.
///
/// # Panics
/// Never: the file is part of the program.
pub fn seccomp() -> Value {
    serde_json::from_str(include_str!("../data/seccomp-default-caps.json")).expect("a file of ours")
}
