//! The default seccomp profile: Docker's (moby/profiles 0.2.3) for x86-64 and Linux 4.8 or later.
//!
//! `seccomp.json` holds what every container may call, [`GRANTS`] what a capability adds. The rest
//! gets `EPERM`, as programs that fall back from Docker's errno expect, and calls newer than the
//! profile `ENOSYS`. It allows `socketcall`, as Docker does; `crate::seccomp` says what that means.

use std::sync::LazyLock;

use crate::spec::{Arg, Seccomp, SyscallRule};

/// The calls that a capability allows on top.
pub const GRANTS: &[(&str, &[&str])] = &[
    ("CAP_BPF", &["bpf"]),
    ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
    ("CAP_PERFMON", &["perf_event_open"]),
    (
        "CAP_SYS_ADMIN",
        &[
            "bpf",
            "clone",
            "clone3",
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "lsm_get_self_attr",
            "lsm_list_modules",
            "lsm_set_self_attr",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "perf_event_open",
            "quotactl",
            "quotactl_fd",
            "setdomainname",
            "sethostname",
            "setns",
            "syslog",
            "umount",
            "umount2",
            "unshare",
        ],
    ),
    ("CAP_SYS_BOOT", &["reboot"]),
    ("CAP_SYS_CHROOT", &["chroot"]),
    ("CAP_SYS_MODULE", &["delete_module", "finit_module", "init_module"]),
    ("CAP_SYS_NICE", &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]),
    ("CAP_SYS_PACCT", &["acct"]),
    (
        "CAP_SYS_PTRACE",
        &["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"],
    ),
    ("CAP_SYS_RAWIO", &["ioperm", "iopl"]),
    ("CAP_SYS_TIME", &["clock_settime", "clock_settime64", "settimeofday", "stime"]),
    ("CAP_SYS_TTY_CONFIG", &["vhangup"]),
    ("CAP_SYSLOG", &["syslog"]),
];

/// `CLONE_NEW*` as `clone` takes them: NS, CGROUP, UTS, IPC, USER, PID, NET.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

const ENOSYS: u32 = 38;

static BASE: LazyLock<Seccomp> = LazyLock::new(|| {
    serde_json::from_str(include_str!("seccomp.json")).expect("the file is part of the program and tested")
});

/// The profile for a container whose bounding set is `capabilities` (`CAP_…`).
#[must_use]
pub fn profile(capabilities: &[&str]) -> Seccomp {
    let mut profile = BASE.clone();
    for (_, names) in GRANTS.iter().filter(|(capability, _)| capabilities.contains(capability)) {
        profile.syscalls.push(rule(names, "SCMP_ACT_ALLOW"));
    }
    if !capabilities.contains(&"CAP_SYS_ADMIN") {
        let mut clone = rule(&["clone"], "SCMP_ACT_ALLOW");
        clone.args.push(Arg {
            index: 0,
            value: NEW_NAMESPACES,
            value_two: 0,
            op: "SCMP_CMP_MASKED_EQ".into(),
        });
        // Its flags are in memory. With ENOSYS callers use clone, whose flags a filter sees.
        let mut clone3 = rule(&["clone3"], "SCMP_ACT_ERRNO");
        clone3.errno_ret = Some(ENOSYS);
        profile.syscalls.extend([clone, clone3]);
    }
    profile
}

fn rule(names: &[&str], action: &str) -> SyscallRule {
    SyscallRule {
        names: names.iter().map(|&name| name.into()).collect(),
        action: action.into(),
        errno_ret: None,
        args: Vec::new(),
    }
}
