//! Words and rules that a profile must not have, and what else it sets.

use super::{profile, rule, with_errno};
use crate::{
    seccomp::{Filter, Listener, MAX_INSTRUCTIONS, compile},
    spec::Seccomp,
};

fn error(profile: &Seccomp) -> String {
    compile(profile).unwrap_err().to_string()
}

fn allow(rule: crate::spec::SyscallRule) -> Seccomp {
    profile("SCMP_ACT_ERRNO", &[], vec![rule])
}

#[test]
fn unknown_words_are_named() {
    let cases = [
        (profile("SCMP_ACT_DENY", &[], vec![]), "defaultAction: unknown action \"SCMP_ACT_DENY\""),
        (allow(rule(&["read"], "ALLOW", &[])), "syscalls[0].action: unknown action \"ALLOW\""),
        (profile("SCMP_ACT_ALLOW", &["amd64"], vec![]), "architectures[0]: unknown architecture \"amd64\""),
        (
            allow(rule(&["read"], "SCMP_ACT_ALLOW", &[(0, "SCMP_CMP_XX", 0, 0)])),
            "syscalls[0].args[0]: unknown operator \"SCMP_CMP_XX\"",
        ),
        (
            allow(rule(&["read"], "SCMP_ACT_ALLOW", &[(5, "SCMP_CMP_EQ", 0, 0), (6, "SCMP_CMP_EQ", 0, 0)])),
            "syscalls[0].args[1]: argument index 6 is above 5",
        ),
        (allow(rule(&["read", ""], "SCMP_ACT_ALLOW", &[])), "syscalls[0].names: a name is empty"),
        (
            allow(with_errno(rule(&["read"], "SCMP_ACT_ERRNO", &[]), 65536)),
            "syscalls[0].action: 65536 is no errno that a filter can return (at most 65535)",
        ),
        (
            Seccomp {
                flags: Some(vec!["SECCOMP_FILTER_FLAG_X".into()]),
                ..profile("SCMP_ACT_ALLOW", &[], vec![])
            },
            "flags[0]: unknown flag \"SECCOMP_FILTER_FLAG_X\"",
        ),
    ];
    for (profile, message) in cases {
        assert_eq!(error(&profile), message);
    }
}

#[test]
fn unknown_calls_and_unused_errnos_are_warnings() {
    let filter = compile(&profile(
        "SCMP_ACT_ERRNO",
        &[],
        vec![with_errno(rule(&["read", "frobnicate", "riscv_flush_icache"], "SCMP_ACT_ALLOW", &[]), 1)],
    ))
    .unwrap()
    .unwrap();
    assert_eq!(
        filter.warnings,
        [
            "linux.seccomp.syscalls[0].action: SCMP_ACT_ALLOW has no errno; ignored",
            "linux.seccomp.syscalls[0].names: unknown system call \"frobnicate\" skipped",
        ]
    );
}

#[test]
fn all_known_words_are_accepted() {
    use crate::seccomp::{ACTIONS, ARCHITECTURES, FLAGS, OPERATORS};
    for action in ACTIONS {
        let mut profile = allow(rule(&["read"], action, &[]));
        profile.listener_path = "/agent".into();
        compile(&profile).unwrap();
    }
    for op in OPERATORS {
        compile(&allow(rule(&["read"], "SCMP_ACT_ALLOW", &[(0, op, 1, 1)]))).unwrap();
    }
    compile(&profile("SCMP_ACT_ALLOW", ARCHITECTURES, vec![])).unwrap();
    let mut notifies = allow(rule(&["read"], "SCMP_ACT_NOTIFY", &[]));
    notifies.listener_path = "/agent".into();
    notifies.flags = Some(FLAGS.iter().map(|&flag| flag.into()).collect());
    compile(&notifies).unwrap();
}

#[test]
fn flags_are_those_of_runc() {
    let flags = |flags: Option<&[&str]>| {
        let mut profile = profile("SCMP_ACT_ALLOW", &[], vec![]);
        profile.flags = flags.map(|flags| flags.iter().map(|&flag| flag.into()).collect());
        let compiled = compile(&profile).map_err(|error| error.to_string());
        compiled.map(|filter| filter.unwrap().flags)
    };
    assert_eq!(flags(None), Ok(4));
    assert_eq!(flags(Some(&[])), Ok(0));
    assert_eq!(flags(Some(&["SECCOMP_FILTER_FLAG_TSYNC"])), Ok(0));
    assert_eq!(flags(Some(&["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])), Ok(6));
    assert!(flags(Some(&["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])).is_err());
}

#[test]
fn notify_needs_a_listener_that_the_runtime_does_not_wait_for() {
    assert!(error(&profile("SCMP_ACT_NOTIFY", &[], vec![])).starts_with("defaultAction: SCMP_ACT_NOTIFY"));
    assert!(
        error(&allow(rule(&["write"], "SCMP_ACT_NOTIFY", &[]))).starts_with("syscalls[0]: SCMP_ACT_NOTIFY")
    );
    let mut profile = allow(rule(&["mkdir"], "SCMP_ACT_NOTIFY", &[]));
    assert!(error(&profile).starts_with("listenerPath is missing"));
    profile.listener_path = "/run/agent.sock".into();
    profile.listener_metadata = "x".into();
    let filter = compile(&profile).unwrap().unwrap();
    assert_eq!(filter.listener, Some(Listener { path: "/run/agent.sock".into(), metadata: "x".into() }));
    assert_eq!(filter.flags, 4 | 8);
    profile.flags = Some(vec!["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV".into()]);
    assert_eq!(compile(&profile).unwrap().unwrap().flags, 8 | 32);
    profile.syscalls[0].action = "SCMP_ACT_ALLOW".into();
    profile.flags = None;
    assert_eq!(compile(&profile).unwrap().unwrap().listener, None, "a path alone needs no listener");
}

#[test]
fn an_empty_profile_is_no_filter() {
    assert_eq!(compile(&Seccomp::default()), Ok(None));
}

#[test]
fn too_long_programs_are_refused() {
    let rules = |count: u64| {
        let rule = |value| rule(&["ioctl"], "SCMP_ACT_ALLOW", &[(1, "SCMP_CMP_EQ", value << 32 | value, 0)]);
        profile("SCMP_ACT_ERRNO", &[], (0..count).map(rule).collect())
    };
    assert!(compile(&rules(1000)).unwrap().unwrap().program.len() <= MAX_INSTRUCTIONS);
    for count in [2000, 5000] {
        assert_eq!(error(&rules(count)), "the filter would have more than 4096 instructions");
    }
}

#[test]
fn survives_serialization() {
    let filter = compile(&allow(rule(&["read"], "SCMP_ACT_ALLOW", &[]))).unwrap().unwrap();
    let bytes = postcard::to_stdvec(&filter).unwrap();
    assert_eq!(postcard::from_bytes::<Filter>(&bytes).unwrap(), filter);
}
