//! Docker's default profile, as compiled.

use std::collections::BTreeSet;

use super::{ALLOW, Compiled, ENOSYS, EPERM, KILL_PROCESS, interpreter, number};
use crate::{
    defaults,
    seccomp::{arch::Arch, compile},
};

/// Docker's default capabilities.
const CAPABILITIES: &[&str] = &[
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

const X86_FAMILY: [Arch; 3] = [Arch::X86_64, Arch::X86, Arch::X32];

fn compiled() -> Compiled {
    Compiled::new(&defaults::seccomp::profile(CAPABILITIES))
}

#[test]
fn names_are_those_of_docker() {
    let profile = defaults::seccomp::profile(CAPABILITIES);
    assert_eq!(profile.syscalls[0].names.len(), 361);
    let usable: BTreeSet<&String> = profile
        .syscalls
        .iter()
        .filter(|rule| rule.action == "SCMP_ACT_ALLOW")
        .flat_map(|rule| &rule.names)
        .collect();
    assert_eq!(usable.len(), 370);
    assert_eq!(compile(&profile).unwrap().unwrap().warnings, [""; 0]);
}

#[test]
fn verdicts_of_calls_without_conditions() {
    let allowed = "read write openat openat2 close execve execveat exit_group mmap mprotect futex ptrace \
         process_vm_readv chroot arch_prctl modify_ldt landlock_create_ruleset landlock_restrict_self \
         pidfd_open pidfd_send_signal memfd_secret name_to_handle_at statmount listmount mseal seccomp \
         vmsplice mknod setuid capset map_shadow_stack uretprobe";
    let refused = "mount umount2 pivot_root move_mount fsopen fsconfig fsmount fspick open_tree \
         mount_setattr setns unshare bpf perf_event_open quotactl quotactl_fd fanotify_init sethostname \
         setdomainname syslog lsm_list_modules open_by_handle_at kcmp pidfd_getfd process_madvise mbind \
         set_mempolicy get_mempolicy clock_settime settimeofday init_module finit_module delete_module \
         reboot acct iopl ioperm vhangup io_uring_setup io_uring_enter io_uring_register userfaultfd keyctl \
         add_key request_key kexec_load kexec_file_load swapon swapoff nfsservctl create_module";
    let compiled = compiled();
    for name in allowed.split_whitespace() {
        assert_eq!(compiled.call(Arch::X86_64, name, &[]), ALLOW, "{name}");
    }
    for name in refused.split_whitespace() {
        assert_eq!(compiled.call(Arch::X86_64, name, &[]), EPERM, "{name}");
    }
    for name in ["clone3", "open_tree_attr", "file_getattr", "file_setattr", "listns"] {
        assert_eq!(compiled.call(Arch::X86_64, name, &[]), ENOSYS, "{name}");
    }
}

#[test]
fn row_28_sockets_of_alg_and_vsock_are_refused() {
    let compiled = compiled();
    for arch in X86_FAMILY {
        let refused: Vec<u64> =
            (0..64).filter(|&family| compiled.call(arch, "socket", &[family]) != ALLOW).collect();
        assert_eq!(refused, [38, 40], "{arch:?}");
        assert_eq!(compiled.call(arch, "socket", &[38]), EPERM, "{arch:?}");
    }
    // Docker's hole, and what closes it.
    let mut profile = defaults::seccomp::profile(CAPABILITIES);
    assert_eq!(compiled.call(Arch::X86, "socketcall", &[1]), ALLOW);
    profile.syscalls[0].names.retain(|name| name != "socketcall");
    let closed = Compiled::new(&profile);
    assert_eq!(closed.call(Arch::X86, "socketcall", &[1]), EPERM);
    assert_eq!(closed.call(Arch::X86, "socketcall", &[5]), ALLOW, "accept");
}

#[test]
fn new_namespaces_are_refused() {
    let compiled = compiled();
    for arch in X86_FAMILY {
        assert_eq!(compiled.call(arch, "clone", &[0x003d_0f00]), ALLOW, "threads on {arch:?}");
        for flag in [17, 25, 26, 27, 28, 29, 30] {
            assert_eq!(compiled.call(arch, "clone", &[1 << flag]), EPERM, "bit {flag} on {arch:?}");
        }
        assert_eq!(compiled.call(arch, "clone3", &[]), ENOSYS, "{arch:?}");
    }
}

#[test]
fn personality_is_a_list() {
    let compiled = compiled();
    for arch in X86_FAMILY {
        for persona in [0, 8, 0x20000, 0x20008, 0xffff_ffff] {
            assert_eq!(compiled.call(arch, "personality", &[persona]), ALLOW, "{persona:#x} on {arch:?}");
        }
        for persona in [1, 7, 0x20001, 0x0004_0000, 0xffff_fffe] {
            assert_eq!(compiled.call(arch, "personality", &[persona]), EPERM, "{persona:#x} on {arch:?}");
        }
    }
    assert_eq!(compiled.call(Arch::X86_64, "personality", &[1 << 32]), EPERM);
}

#[test]
fn capabilities_bring_their_calls() {
    for (capability, names) in defaults::seccomp::GRANTS {
        let compiled = Compiled::new(&defaults::seccomp::profile(&[capability]));
        for name in *names {
            let arch = if matches!(*name, "stime" | "clock_settime64" | "umount") {
                Arch::X86
            } else {
                Arch::X86_64
            };
            assert_eq!(compiled.call(arch, name, &[0x7e02_0000]), ALLOW, "{name} with {capability}");
        }
    }
}

#[test]
fn foreign_architectures_are_killed() {
    let compiled = compiled();
    for arch in [Arch::Aarch64, Arch::Arm] {
        assert_eq!(compiled.call(arch, "read", &[]), KILL_PROCESS);
    }
}

/// What the install costs: the kernel runs the filter for each number of both its tables.
#[test]
fn is_short_and_shallow() {
    let compiled = compiled();
    let length = compiled.0.len();
    assert!((100..=280).contains(&length), "{length} instructions");
    let steps =
        |number, audit| interpreter::trace(&compiled.0, &interpreter::Data { number, audit, args: [0; 6] }).1;
    for arch in X86_FAMILY {
        let base = number(arch, "getpid") & 0x4000_0000;
        let total: usize = (0..470).map(|number| steps(base + number, arch.audit())).sum();
        let longest = (0..470).map(|number| steps(base + number, arch.audit())).max().unwrap();
        assert!(total / 470 <= 12, "{} instructions on average on {arch:?}", total / 470);
        assert!(longest <= 24, "{longest} instructions on {arch:?}");
    }
}
