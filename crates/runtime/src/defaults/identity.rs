//! Who a container is when its creator asks for nothing: one table, Docker's, to be reviewed as one.
//!
//! Sources: moby `daemon/pkg/oci/defaults.go`, `oci_linux.go` and `caps/defaults.go` as of 2026, and
//! `defaults::seccomp` for the system calls. The tests compare each row with what a probe sees inside.

use std::{collections::BTreeMap, fs};

use super::seccomp;
use crate::spec::{
    Capabilities, DeviceRule, Linux, Mount, Namespace, NamespaceKind, OCI_VERSION, Process, Resources, Root,
    Spec, User,
};

/// Capabilities in the bounding, permitted and effective sets; inheritable and ambient are empty.
pub const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Namespaces of the container's own. A time namespace is added where the kernel has them, a cgroup
/// namespace where cgroups are version 2 alone; a user namespace only where it is asked for.
pub const NAMESPACES: [NamespaceKind; 5] = [
    NamespaceKind::Ipc,
    NamespaceKind::Mount,
    NamespaceKind::Network,
    NamespaceKind::Pid,
    NamespaceKind::Uts,
];

/// Mounts in their order: destination, type, options.
pub const MOUNTS: [(&str, &str, &[&str]); 7] = [
    ("/proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    ("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
    ("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]),
];

/// Paths that show nothing; `thermal_throttle` of each CPU that has it is added.
pub const MASKED_PATHS: [&str; 12] = [
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
pub const READONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Character devices that may be used, above what every container may (`cgroup`'s default rules).
pub const DEVICES: [(i64, i64); 6] = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)];

/// `/dev/fuse`, which is refused by name.
pub const DENIED_DEVICE: (i64, i64) = (10, 229);

/// Sysctls of a container with a network namespace and without a user namespace.
pub const SYSCTLS: [(&str, &str); 2] =
    [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];

/// Which of the kernel's newer namespaces the container gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    pub time_namespaces: bool,
    /// Cgroups of version 2 alone.
    pub unified_cgroups: bool,
}

/// The spec of a container with the root `rootfs` that runs `args` as root.
#[must_use]
pub fn spec(rootfs: &str, args: &[&str], host: Host) -> Spec {
    let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    let mut namespaces = NAMESPACES.to_vec();
    namespaces.extend(host.time_namespaces.then_some(NamespaceKind::Time));
    namespaces.extend(host.unified_cgroups.then_some(NamespaceKind::Cgroup));
    let capabilities = strings(&CAPABILITIES);
    Spec {
        oci_version: OCI_VERSION.into(),
        process: Some(Process {
            user: User { additional_gids: vec![0], ..User::default() },
            args: strings(args),
            env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()],
            cwd: "/".into(),
            capabilities: Some(Capabilities {
                bounding: capabilities.clone(),
                permitted: capabilities.clone(),
                effective: capabilities,
                ..Capabilities::default()
            }),
            oom_score_adj: Some(0),
            ..Process::default()
        }),
        root: Some(Root { path: rootfs.into(), readonly: false }),
        mounts: MOUNTS
            .iter()
            .map(|(destination, kind, options)| Mount {
                destination: (*destination).into(),
                kind: (*kind).into(),
                source: (*kind).into(),
                options: strings(options),
                ..Mount::default()
            })
            .collect(),
        linux: Some(Linux {
            namespaces: namespaces.into_iter().map(|kind| Namespace { kind, path: String::new() }).collect(),
            sysctl: SYSCTLS
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect::<BTreeMap<_, _>>(),
            masked_paths: masked_paths(),
            readonly_paths: strings(&READONLY_PATHS),
            resources: Some(Resources { devices: device_rules(), ..Resources::default() }),
            seccomp: Some(seccomp::profile(&CAPABILITIES)),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

/// [`MASKED_PATHS`] and what depends on the host's CPUs.
fn masked_paths() -> Vec<String> {
    let mut paths: Vec<String> = MASKED_PATHS.iter().map(|path| (*path).to_owned()).collect();
    let mut throttles: Vec<String> = fs::read_dir("/sys/devices/system/cpu")
        .into_iter()
        .flatten()
        .flatten()
        .map(|cpu| cpu.path().join("thermal_throttle"))
        .filter(|path| path.is_dir())
        .filter_map(|path| path.to_str().map(str::to_owned))
        .collect();
    throttles.sort();
    paths.extend(throttles);
    paths
}

fn device_rules() -> Vec<DeviceRule> {
    let all = || "rwm".to_owned();
    let one = |allow, (major, minor)| DeviceRule {
        allow,
        kind: "c".into(),
        major: Some(major),
        minor: Some(minor),
        access: all(),
    };
    let mut rules = vec![DeviceRule { access: all(), ..DeviceRule::default() }];
    rules.extend(DEVICES.map(|device| one(true, device)));
    rules.push(one(false, DENIED_DEVICE));
    rules
}
