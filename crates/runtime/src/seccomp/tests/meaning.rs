//! What rules mean together, case by case.

use super::{
    ALLOW, Compiled, ENOSYS, EPERM, KILL_PROCESS, KILL_THREAD, LOG, NOTIFY, errno, profile, rule, with_errno,
};
use crate::seccomp::{SeccompError, arch::Arch, compile};

const X86_FAMILY: &[&str] = &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];

#[test]
fn actions_have_the_values_of_the_kernel() {
    let mut profile = profile(
        "SCMP_ACT_TRAP",
        &[],
        vec![
            rule(&["read"], "SCMP_ACT_KILL", &[]),
            rule(&["open"], "SCMP_ACT_KILL_THREAD", &[]),
            rule(&["close"], "SCMP_ACT_KILL_PROCESS", &[]),
            rule(&["stat"], "SCMP_ACT_ERRNO", &[]),
            with_errno(rule(&["fstat"], "SCMP_ACT_ERRNO", &[]), 13),
            rule(&["lstat"], "SCMP_ACT_TRACE", &[]),
            with_errno(rule(&["poll"], "SCMP_ACT_TRACE", &[]), 7),
            rule(&["lseek"], "SCMP_ACT_LOG", &[]),
            rule(&["mmap"], "SCMP_ACT_NOTIFY", &[]),
            rule(&["brk"], "SCMP_ACT_ALLOW", &[]),
        ],
    );
    profile.listener_path = "/agent".into();
    let compiled = Compiled::new(&profile);
    let expected = [
        ("read", KILL_THREAD),
        ("open", KILL_THREAD),
        ("close", KILL_PROCESS),
        ("stat", EPERM),
        ("fstat", errno(13)),
        ("lstat", 0x7ff0_0001),
        ("poll", 0x7ff0_0007),
        ("lseek", LOG),
        ("mmap", NOTIFY),
        ("brk", ALLOW),
        ("write", 0x0003_0000),
    ];
    for (name, action) in expected {
        assert_eq!(compiled.call(Arch::X86_64, name, &[]), action, "{name}");
    }
}

#[test]
fn default_errno_is_the_profiles() {
    let mut profile = profile("SCMP_ACT_ERRNO", &[], vec![rule(&["write"], "SCMP_ACT_ALLOW", &[])]);
    assert_eq!(Compiled::new(&profile).call(Arch::X86_64, "read", &[]), EPERM);
    profile.default_errno_ret = Some(99);
    assert_eq!(Compiled::new(&profile).call(Arch::X86_64, "read", &[]), errno(99));
}

#[test]
fn operators_compare_all_64_bits() {
    let value = 5 << 32 | 9;
    let holds: [(&str, [bool; 5]); 6] = [
        ("SCMP_CMP_NE", [true, true, false, true, true]),
        ("SCMP_CMP_LT", [true, true, false, false, false]),
        ("SCMP_CMP_LE", [true, true, true, false, false]),
        ("SCMP_CMP_EQ", [false, false, true, false, false]),
        ("SCMP_CMP_GE", [false, false, true, true, true]),
        ("SCMP_CMP_GT", [false, false, false, true, true]),
    ];
    for (op, expected) in holds {
        let compiled = Compiled::new(&profile(
            "SCMP_ACT_ERRNO",
            &[],
            vec![rule(&["read"], "SCMP_ACT_ALLOW", &[(2, op, value, 0)])],
        ));
        // The same and other low words on both sides of the high one.
        let args = [4 << 32 | 10, 5 << 32 | 8, value, 5 << 32 | 10, 6 << 32 | 8];
        for (arg, holds) in args.into_iter().zip(expected) {
            let expected = if holds { ALLOW } else { EPERM };
            assert_eq!(compiled.call(Arch::X86_64, "read", &[0, 0, arg]), expected, "{arg:#x} {op}");
        }
    }
}

#[test]
fn masked_comparison_looks_at_the_mask_alone() {
    let compiled = Compiled::new(&profile(
        "SCMP_ACT_ERRNO",
        &[],
        vec![
            rule(&["clone"], "SCMP_ACT_ALLOW", &[(0, "SCMP_CMP_MASKED_EQ", 0x7e02_0000, 0)]),
            rule(&["read"], "SCMP_ACT_ALLOW", &[(0, "SCMP_CMP_MASKED_EQ", 0xf0_0000_00f0, 0x10_0000_00ff)]),
        ],
    ));
    let clone = |flags| compiled.call(Arch::X86_64, "clone", &[flags]);
    assert_eq!(clone(0x0120_0011), ALLOW);
    assert_eq!(clone(0xffff_ffff_81fd_ffff), ALLOW);
    for namespace in [0x0002_0000, 0x0200_0000, 0x1000_0000, 0x4000_0000] {
        assert_eq!(clone(0x11 | namespace), EPERM, "{namespace:#x}");
    }
    assert_eq!(compiled.call(Arch::X86_64, "read", &[0x1f_0000_00ff]), ALLOW, "value is masked too");
    assert_eq!(compiled.call(Arch::X86_64, "read", &[0x1f_0000_00ef]), EPERM);
    assert_eq!(compiled.call(Arch::X86_64, "read", &[0x2f_0000_00ff]), EPERM);
}

#[test]
fn conditions_of_one_rule_must_all_hold() {
    let args = [(0, "SCMP_CMP_EQ", 1, 0), (1, "SCMP_CMP_GT", 4, 0), (5, "SCMP_CMP_NE", 0, 0)];
    let compiled =
        Compiled::new(&profile("SCMP_ACT_ERRNO", &[], vec![rule(&["read"], "SCMP_ACT_ALLOW", &args)]));
    assert_eq!(compiled.call(Arch::X86_64, "read", &[1, 5, 0, 0, 0, 7]), ALLOW);
    for args in [[0, 5, 0, 0, 0, 7], [1, 4, 0, 0, 0, 7], [1, 5, 0, 0, 0, 0]] {
        assert_eq!(compiled.call(Arch::X86_64, "read", &args), EPERM);
    }
}

#[test]
fn either_of_two_conditions_on_one_argument_is_enough() {
    let args = [(0, "SCMP_CMP_EQ", 1, 0), (0, "SCMP_CMP_EQ", 2, 0), (1, "SCMP_CMP_EQ", 9, 0)];
    let compiled =
        Compiled::new(&profile("SCMP_ACT_ERRNO", &[], vec![rule(&["read"], "SCMP_ACT_ALLOW", &args)]));
    for args in [[1, 0], [2, 0], [0, 9]] {
        assert_eq!(compiled.call(Arch::X86_64, "read", &args), ALLOW);
    }
    assert_eq!(compiled.call(Arch::X86_64, "read", &[3, 0]), EPERM);
}

#[test]
fn the_first_unconditional_rule_wins() {
    let conditional = || rule(&["read"], "SCMP_ACT_LOG", &[(0, "SCMP_CMP_EQ", 1, 0)]);
    let allow = || rule(&["read"], "SCMP_ACT_ALLOW", &[]);
    let kill = || rule(&["read"], "SCMP_ACT_KILL", &[]);
    let cases = [
        (vec![conditional(), allow(), kill()], ALLOW),
        (vec![kill(), conditional(), allow()], KILL_THREAD),
        (vec![allow(), conditional()], ALLOW),
    ];
    for (rules, action) in cases {
        let compiled = Compiled::new(&profile("SCMP_ACT_ERRNO", &[], rules));
        assert_eq!(compiled.call(Arch::X86_64, "read", &[1]), action);
    }
}

#[test]
fn a_rule_with_the_default_action_does_nothing() {
    let rules = vec![
        rule(&["read"], "SCMP_ACT_ERRNO", &[]),
        rule(&["read"], "SCMP_ACT_ALLOW", &[]),
        with_errno(rule(&["write"], "SCMP_ACT_ERRNO", &[]), 2),
        rule(&["write"], "SCMP_ACT_ALLOW", &[]),
    ];
    let compiled = Compiled::new(&profile("SCMP_ACT_ERRNO", &[], rules));
    assert_eq!(compiled.call(Arch::X86_64, "read", &[]), ALLOW);
    assert_eq!(compiled.call(Arch::X86_64, "write", &[]), errno(2), "another errno is another action");
}

#[test]
fn overlapping_rules_are_tried_in_the_order_of_libseccomp() {
    let log = |args| rule(&["read"], "SCMP_ACT_LOG", args);
    let allow = |args| rule(&["read"], "SCMP_ACT_ALLOW", args);
    let cases = [
        // Higher arguments first.
        (log(&[(0, "SCMP_CMP_EQ", 5, 0)]), allow(&[(1, "SCMP_CMP_EQ", 5, 0)]), ALLOW),
        // Equalities before bounds, upper bounds before lower ones.
        (log(&[(0, "SCMP_CMP_GT", 4, 0)]), allow(&[(0, "SCMP_CMP_EQ", 5, 0)]), ALLOW),
        (log(&[(0, "SCMP_CMP_GT", 4, 0)]), allow(&[(0, "SCMP_CMP_LT", 6, 0)]), ALLOW),
        // The narrower bound first.
        (log(&[(0, "SCMP_CMP_LT", 9, 0)]), allow(&[(0, "SCMP_CMP_LT", 6, 0)]), ALLOW),
        (log(&[(0, "SCMP_CMP_GE", 2, 0)]), allow(&[(0, "SCMP_CMP_GE", 4, 0)]), ALLOW),
    ];
    for (loses, wins, action) in cases {
        for rules in [vec![loses.clone(), wins.clone()], vec![wins, loses]] {
            let compiled = Compiled::new(&profile("SCMP_ACT_ERRNO", &[], rules.clone()));
            assert_eq!(compiled.call(Arch::X86_64, "read", &[5, 5]), action, "{rules:?}");
        }
    }
}

#[test]
fn one_condition_with_two_actions_is_an_error() {
    let args = &[(0, "SCMP_CMP_EQ", 5, 0)];
    let rules = vec![rule(&["read"], "SCMP_ACT_LOG", args), rule(&["read"], "SCMP_ACT_ALLOW", args)];
    let error = compile(&profile("SCMP_ACT_ERRNO", &[], rules)).unwrap_err();
    assert!(matches!(error, SeccompError::ConflictingActions { name } if name == "read"));
}

#[test]
fn numbers_above_the_profiles_are_not_implemented() {
    let rules = || vec![rule(&["read", "pidfd_open"], "SCMP_ACT_ALLOW", &[])];
    for (default, action) in [("SCMP_ACT_ERRNO", EPERM), ("SCMP_ACT_KILL", KILL_THREAD)] {
        let compiled = Compiled::new(&profile(default, X86_FAMILY, rules()));
        for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
            assert_eq!(compiled.call(arch, "pidfd_open", &[]), ALLOW);
            assert_eq!(compiled.call(arch, "clone3", &[]), ENOSYS, "{arch:?}");
            assert_eq!(compiled.call(arch, "close", &[]), action, "{arch:?}");
        }
    }
    for (default, action) in
        [("SCMP_ACT_ALLOW", ALLOW), ("SCMP_ACT_LOG", LOG), ("SCMP_ACT_TRACE", 0x7ff0_0001)]
    {
        let compiled = Compiled::new(&profile(default, X86_FAMILY, rules()));
        assert_eq!(compiled.call(Arch::X86_64, "clone3", &[]), action);
    }
    // A rule with the default action still tells how new the profile is.
    let mut rules = rules();
    rules.push(rule(&["mseal"], "SCMP_ACT_ERRNO", &[]));
    let compiled = Compiled::new(&profile("SCMP_ACT_ERRNO", &[], rules));
    assert_eq!(compiled.call(Arch::X86_64, "clone3", &[]), EPERM);
    assert_eq!(compiled.call(Arch::X86_64, "listns", &[]), ENOSYS);
}

#[test]
fn architectures_that_are_not_listed_kill() {
    let compiled =
        Compiled::new(&profile("SCMP_ACT_ERRNO", &[], vec![rule(&["read"], "SCMP_ACT_ALLOW", &[])]));
    assert_eq!(compiled.call(Arch::X86_64, "read", &[]), ALLOW);
    for arch in [Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm] {
        assert_eq!(compiled.call(arch, "read", &[]), KILL_PROCESS, "{arch:?}");
    }
    assert_eq!(compiled.raw(Arch::X86_64.audit(), u32::MAX, [0; 6]), EPERM, "a call that a tracer skips");
}

#[test]
fn aarch64_has_its_own_numbers() {
    let rules = vec![rule(&["read", "set_tls"], "SCMP_ACT_ALLOW", &[])];
    let compiled = Compiled::native(
        &profile("SCMP_ACT_ERRNO", &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"], rules),
        Arch::Aarch64,
    );
    assert_eq!(compiled.call(Arch::Aarch64, "read", &[]), ALLOW);
    assert_eq!(compiled.call(Arch::Arm, "read", &[]), ALLOW);
    assert_eq!(compiled.call(Arch::Arm, "set_tls", &[]), ALLOW);
    assert_eq!(compiled.raw(Arch::Aarch64.audit(), 0, [0; 6]), EPERM);
    assert_eq!(compiled.call(Arch::Arm, "mseal", &[]), ENOSYS);
    assert_eq!(compiled.call(Arch::X86_64, "read", &[]), KILL_PROCESS);
}

#[test]
fn socketcall_and_ipc_follow_the_calls_that_they_stand_for() {
    let rules = vec![
        rule(&["accept", "semop"], "SCMP_ACT_ALLOW", &[]),
        rule(&["socket"], "SCMP_ACT_ALLOW", &[(0, "SCMP_CMP_LT", 38, 0)]),
    ];
    let compiled = Compiled::new(&profile("SCMP_ACT_ERRNO", X86_FAMILY, rules.clone()));
    let call = |name, part| compiled.call(Arch::X86, name, &[part]);
    assert_eq!(call("socketcall", 5), ALLOW, "accept");
    assert_eq!(call("socketcall", 1), EPERM, "socket: its arguments are out of reach");
    assert_eq!(call("ipc", 1), ALLOW, "semop");
    assert_eq!(call("ipc", 0x1_0001), ALLOW, "semop of another version");
    assert_eq!(call("ipc", 2), EPERM, "semget");
    assert_eq!(compiled.call(Arch::X86, "socket", &[2]), ALLOW);
    assert_eq!(compiled.call(Arch::X86, "socket", &[38]), EPERM);
    // Naming them says otherwise.
    let mut named = rules;
    named.push(rule(&["socketcall"], "SCMP_ACT_ALLOW", &[]));
    let compiled = Compiled::new(&profile("SCMP_ACT_ERRNO", X86_FAMILY, named));
    assert_eq!(compiled.call(Arch::X86, "socketcall", &[1]), ALLOW);
}

#[test]
fn denials_reach_socketcall_and_ipc() {
    let rules = vec![
        with_errno(rule(&["socket"], "SCMP_ACT_ERRNO", &[(0, "SCMP_CMP_EQ", 38, 0)]), 97),
        rule(&["shmat"], "SCMP_ACT_ERRNO", &[]),
    ];
    let compiled = Compiled::new(&profile("SCMP_ACT_ALLOW", X86_FAMILY, rules));
    assert_eq!(compiled.call(Arch::X86, "socketcall", &[1]), errno(97));
    assert_eq!(compiled.call(Arch::X86, "socketcall", &[2]), ALLOW);
    assert_eq!(compiled.call(Arch::X86, "ipc", &[21]), EPERM);
    assert_eq!(compiled.call(Arch::X86, "ipc", &[0x1_0015]), EPERM);
    assert_eq!(compiled.call(Arch::X86, "ipc", &[22]), ALLOW);
    assert_eq!(compiled.call(Arch::X86_64, "socket", &[2]), ALLOW);
    assert_eq!(compiled.call(Arch::X86_64, "socket", &[38]), errno(97));
}
