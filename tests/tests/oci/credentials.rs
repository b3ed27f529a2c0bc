//! Users, groups, capabilities, rlimits and what else the process carries.

use serde_json::json;
use testkit::{Bed, beyond_reference};

#[test]
fn user_group_groups_and_umask() {
    let bed = Bed::new("cruser");
    let mut bundle = bed.bundle();
    bundle.set(
        "/process/user",
        json!({ "uid": 1000, "gid": 1001, "additionalGids": [5, 6, 1001], "umask": 0o27 }),
    );
    let report = bed.run(&bundle).report();
    assert_eq!((report.status("Uid"), report.status("Gid")), ("1000 1000 1000 1000", "1001 1001 1001 1001"));
    assert_eq!(report.status("Groups"), "5 6 1001");
    assert_eq!(report.status("Umask"), "0027");
}

#[test]
fn standard_descriptors_belong_to_the_user() {
    let bed = Bed::new("crfd");
    let mut bundle = bed.bundle();
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    bundle.sh("echo through > /dev/stdout");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "through");
}

#[test]
fn all_five_sets() {
    let bed = Bed::new("crcaps");
    let mut bundle = bed.bundle();
    bundle.set(
        "/process/capabilities",
        json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID"],
            "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
            "inheritable": ["CAP_KILL", "CAP_NET_RAW"],
            "effective": ["CAP_CHOWN"],
            "ambient": ["CAP_NET_RAW"],
        }),
    );
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    // Executing as a user leaves what is ambient, and the bounding and inheritable sets.
    let (kill, raw) = (1 << 5, 1 << 13);
    let bounding = 1 | kill | raw | (1 << 7);
    assert_eq!(bed.run(&bundle).report().capabilities(), [kill | raw, raw, raw, bounding, raw]);
}

#[test]
fn no_capabilities_at_all() {
    let bed = Bed::new("crnone");
    let mut bundle = bed.bundle();
    bundle.set("/process/capabilities", json!({}));
    assert_eq!(bed.run(&bundle).report().capabilities(), [0; 5]);
}

#[test]
fn no_new_privileges() {
    let bed = Bed::new("crnnp");
    let mut bundle = bed.bundle();
    bundle.set("/process/noNewPrivileges", true.into());
    assert_eq!(bed.run(&bundle).report().status("NoNewPrivs"), "1");
}

#[test]
fn resource_limits() {
    let bed = Bed::new("crlimits");
    let mut bundle = bed.bundle();
    let limits = [
        ("RLIMIT_NOFILE", "Max open files", 100, 200),
        ("RLIMIT_CORE", "Max core file size", 0, 0),
        ("RLIMIT_NPROC", "Max processes", 300, 400),
        ("RLIMIT_STACK", "Max stack size", 4 << 20, 8 << 20),
        ("RLIMIT_CPU", "Max cpu time", 50, 60),
        ("RLIMIT_MSGQUEUE", "Max msgqueue size", 1000, 2000),
    ];
    for (name, _, soft, hard) in limits {
        bundle.push("/process/rlimits", json!({ "type": name, "soft": soft, "hard": hard }));
    }
    let report = bed.run(&bundle).report();
    for (name, shown, soft, hard) in limits {
        assert_eq!(report.limits[shown], (soft.to_string(), hard.to_string()), "{name}");
    }
}

#[test]
fn a_hard_limit_above_the_own_needs_a_capability() {
    let bed = Bed::new("crraise");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let may_raise = u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 24) != 0;
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    let own = own.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let hard: u64 = own[26..].split_whitespace().nth(1).unwrap().parse().unwrap();
    let mut bundle = bed.bundle();
    bundle.set("/process/rlimits", json!([{ "type": "RLIMIT_NOFILE", "soft": 64, "hard": hard + 1 }]));
    let output = bed.run(&bundle);
    if may_raise {
        assert_eq!(output.report().limits["Max open files"].1, (hard + 1).to_string());
    } else {
        let error = output.refused();
        assert!(error.to_lowercase().contains("rlimit"), "{error}");
    }
}

#[test]
fn limits_that_do_not_exist_or_twice_are_refused() {
    let bed = Bed::new("crbad");
    for limits in [
        json!([{ "type": "RLIMIT_DREAMS", "soft": 1, "hard": 1 }]),
        json!([{ "type": "RLIMIT_NOFILE", "soft": 2, "hard": 1 }]),
    ] {
        let mut bundle = bed.bundle();
        bundle.set("/process/rlimits", limits.clone()).args(&["/bin/true"]);
        bed.run(&bundle).refused();
    }
}

#[test]
fn oom_score() {
    let bed = Bed::new("croom");
    let mut bundle = bed.bundle();
    bundle.set("/process/oomScoreAdj", 321.into());
    assert_eq!(bed.run(&bundle).report().oom_score_adj, "321");
}

#[test]
fn scheduler_priority_and_personality() {
    let bed = Bed::new("crsched");
    beyond_reference!(bed, "scheduler and personality, which runc knows from 1.2");
    let mut bundle = bed.bundle();
    bundle.set("/process/scheduler", json!({ "policy": "SCHED_BATCH", "nice": 5 }));
    bundle.set("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 6 }));
    bundle.set("/linux/personality", json!({ "domain": "LINUX32" }));
    let report = bed.run(&bundle).report();
    assert_eq!((report.scheduler.policy, report.scheduler.nice), (3, 5));
    assert_eq!(report.personality, "00000008");
    bundle.set("/process/scheduler", json!({ "policy": "SCHED_DREAMS" }));
    let error = bed.run(&bundle).refused();
    assert!(error.contains("SCHED_DREAMS"), "{error}");
}
