//! The system call filter: actions, conditions, architectures.

use serde_json::{Value, json};
use testkit::{Bed, Bundle};

fn with_profile(bundle: &mut Bundle, default: &str, rules: &Value) {
    bundle.set(
        "/linux/seccomp",
        json!({ "defaultAction": default, "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules }),
    );
}

#[test]
fn an_errno_of_the_rules_choice() {
    let bed = Bed::new("scerrno");
    let mut bundle = bed.bundle();
    with_profile(
        &mut bundle,
        "SCMP_ACT_ALLOW",
        &json!([
            { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 },
            { "names": ["unlink", "unlinkat", "rmdir"], "action": "SCMP_ACT_ERRNO" },
        ]),
    );
    bundle.sh("mkdir /tmp/x; rm /etc/passwd; true");
    let error = bed.run(&bundle).ok().stderr;
    assert!(error.contains("No space left"), "{error}");
    assert!(error.contains("Operation not permitted"), "{error}");
}

#[test]
fn killing_actions() {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP", "SCMP_ACT_KILL_THREAD"] {
        let bed = Bed::new("sckill");
        let mut bundle = bed.bundle();
        with_profile(
            &mut bundle,
            "SCMP_ACT_ALLOW",
            &json!([{ "names": ["mkdir", "mkdirat"], "action": action }]),
        );
        bundle.sh("mkdir /tmp/x; echo $?");
        // SIGSYS
        assert_eq!(bed.run(&bundle).ok().stdout, "159\n", "{action}");
    }
}

#[test]
fn logging_lets_pass() {
    let bed = Bed::new("sclog");
    let mut bundle = bed.bundle();
    with_profile(&mut bundle, "SCMP_ACT_LOG", &json!([]));
    bundle.sh("mkdir /tmp/x && echo made");
    assert_eq!(bed.run(&bundle).ok().stdout, "made\n");
}

#[test]
fn conditions_on_arguments() {
    // kill(2)'s second argument is the signal; 0 always works.
    let allowed = |op: &str, value: u64, second: u64, signal: u64| {
        let bed = Bed::new("scargs");
        let mut bundle = bed.bundle();
        let args = json!([{ "index": 1, "value": value, "valueTwo": second, "op": op }]);
        let rule = json!([{ "names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28, "args": args }]);
        with_profile(&mut bundle, "SCMP_ACT_ALLOW", &rule);
        bundle.sh(&format!("trap '' HUP INT QUIT USR1; kill -{signal} $$ && echo sent; true"));
        bed.run(&bundle).ok().stdout == "sent\n"
    };
    for (op, value, second, refused, sent) in [
        ("SCMP_CMP_EQ", 2, 0, 2, 1),
        ("SCMP_CMP_NE", 2, 0, 1, 2),
        ("SCMP_CMP_LT", 2, 0, 1, 2),
        ("SCMP_CMP_LE", 2, 0, 2, 3),
        ("SCMP_CMP_GT", 2, 0, 3, 2),
        ("SCMP_CMP_GE", 2, 0, 2, 1),
        ("SCMP_CMP_MASKED_EQ", 2, 2, 3, 1),
    ] {
        assert!(!allowed(op, value, second, refused), "{op} {value}: {refused}");
        assert!(allowed(op, value, second, sent), "{op} {value}: {sent}");
    }
}

#[test]
fn a_list_of_what_is_allowed() {
    let bed = Bed::new("sclist");
    let report = bed.run(&bed.bundle()).report();
    assert_eq!((report.status("Seccomp"), report.status("Seccomp_filters")), ("2", "1"));
}

#[test]
fn no_filter_at_all() {
    let bed = Bed::new("scnone");
    let mut bundle = bed.bundle();
    bundle.remove("/linux/seccomp");
    assert_eq!(bed.run(&bundle).report().status("Seccomp"), "0");
}

#[test]
fn a_filter_with_no_new_privileges() {
    let bed = Bed::new("scnnp");
    let mut bundle = bed.bundle();
    bundle.set("/process/noNewPrivileges", true.into());
    bundle.set("/process/capabilities", json!({}));
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let report = bed.run(&bundle).report();
    assert_eq!((report.status("Seccomp"), report.status("NoNewPrivs")), ("2", "1"));
}

#[test]
fn profiles_that_make_no_sense_are_refused() {
    let bed = Bed::new("scbad");
    for profile in [
        json!({ "defaultAction": "SCMP_ACT_DREAM" }),
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_DREAM"] }),
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["kill"], "action": "SCMP_ACT_ERRNO",
            "args": [{ "index": 1, "value": 1, "op": "SCMP_CMP_DREAM" }] }] }),
    ] {
        let mut bundle = bed.bundle();
        bundle.set("/linux/seccomp", profile).args(&["/bin/true"]);
        let error = bed.run(&bundle).refused();
        assert!(error.contains("DREAM"), "{error}");
    }
}

#[test]
fn a_listener_gets_the_notifications() {
    let bed = Bed::new("scnotify");
    let path = bed.dir().join("seccomp.sock");
    let socket = testkit::console::ConsoleSocket::new(&path);
    let mut bundle = bed.bundle();
    let rules = json!([{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" }]);
    with_profile(&mut bundle, "SCMP_ACT_ALLOW", &rules);
    bundle.set("/linux/seccomp/listenerPath", path.to_str().unwrap().into());
    bundle.set("/linux/seccomp/listenerMetadata", "some metadata".into());
    bundle.sh("mkdir /tmp/x");
    let run = bed.runtime(&["run", "--bundle"]).arg(bundle.dir()).arg(bed.container_id());
    let mut child = run.spawn();
    let (listener, message) = socket.accept_with_message();
    let state: Value = serde_json::from_str(&message).unwrap_or_else(|error| panic!("{error}: {message}"));
    assert_eq!(state["metadata"], "some metadata", "{state}");
    assert_eq!(state["fds"], json!(["seccompFd"]), "{state}");
    assert_eq!(state["state"]["bundle"], bundle.dir().to_str().unwrap(), "{state}");
    let target =
        std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&listener))).unwrap();
    assert!(target.to_string_lossy().contains("seccomp"), "{}", target.display());
    // Nobody listens any more: the call fails.
    drop(listener);
    assert_ne!(child.wait().unwrap().code(), Some(0));
    assert!(!bundle.rootfs("tmp/x").exists());
}
