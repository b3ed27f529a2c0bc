//! The processes of a container killed from outside.

use rustix::process::{Pid, Signal, kill_process};
use testkit::{Bed, Invocation, beyond_reference};

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL).expect("a process of ours");
}

#[test]
fn a_created_init_that_is_killed_is_stopped() {
    let bed = Bed::new("vcreated");
    let container = bed.create(&bed.bundle());
    kill(container.pid());
    assert_eq!(container.wait(), 128 + 9);
    assert_eq!(container.status(), "stopped");
    container.start().refused();
    container.delete().ok();
}

#[test]
fn a_running_init_that_is_killed_is_stopped() {
    let bed = Bed::new("vrunning");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    kill(container.pid());
    assert_eq!(container.wait(), 128 + 9);
    assert_eq!(container.status(), "stopped");
    container.delete().ok();
}

#[test]
fn the_state_survives_its_reader() {
    let bed = Bed::new("vstate");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    for _ in 0..20 {
        let mut reader = container.call("state", &[]).stdout(std::process::Stdio::null()).spawn();
        reader.kill().expect("a child of ours");
        reader.wait().expect("a child of ours");
    }
    assert_eq!(container.status(), "running");
    container.delete_force().ok();
}

#[test]
fn many_callers_at_once_agree() {
    let bed = Bed::new("vmany");
    beyond_reference!(bed, "callers that take turns; of several runc starts one may wait for ever");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; sleep 1000");
    let container = bed.create(&bundle);
    let results = at_once(|| container.call("start", &[]));
    assert_eq!(results.iter().filter(|code| **code == 0).count(), 1, "one start wins: {results:?}");
    assert_eq!(container.line(), "ready");
    let deletes = at_once(|| container.call("delete", &["--force"]));
    assert!(deletes.contains(&0), "{deletes:?}");
}

/// Exit codes of four calls that run side by side.
fn at_once(call: impl Fn() -> Invocation) -> Vec<i32> {
    let children: Vec<_> = (0..4).map(|_| call().spawn()).collect();
    children
        .into_iter()
        .map(|mut child| child.wait().expect("a child of ours").code().unwrap_or(-1))
        .collect()
}
