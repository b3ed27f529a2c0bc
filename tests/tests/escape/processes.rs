//! Signals, floods and containers that will not go.

use std::fs;
use std::time::{Duration, Instant};
use testkit::{Bed, beyond_reference};

/// Docker waits ten seconds before it kills; a kill itself must not take longer than this.
fn at_once() -> Duration {
    testkit::patience() / 6
}

#[test]
fn c4_58_processes_of_the_host_cannot_be_signalled() {
    let bed = Bed::new("c4-58");
    let mut bundle = bed.bundle();
    let host = std::process::id();
    bundle
        .sh(&format!("kill -9 {host} 2>&1; kill -0 {host} && echo reached; kill -0 -1; ls -d /proc/[0-9]*"));
    let output = bed.run(&bundle).ok().stdout;
    assert!(!output.contains("reached"), "{output}");
    assert!(!output.contains(&format!("/proc/{host}\n")), "{output}");
}

#[test]
fn c4_58_init_ignores_what_it_does_not_handle() {
    let bed = Bed::new("c4-58i");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; while :; do read line < /tmp/fifo && echo got $line; done");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bundle.rootfs("tmp/fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    container.kill("TERM").ok();
    fs::write(bundle.rootfs("tmp/fifo"), "word\n").unwrap();
    assert_eq!(container.line(), "got word");
    container.kill("KILL").ok();
    assert_eq!(container.wait_within(at_once()), Some(128 + 9));
}

#[test]
fn c4_58_a_flood_of_zombies_dies_with_its_init() {
    let bed = Bed::new("c4-58z");
    let mut bundle = bed.bundle();
    bundle.sh("/probe fork-flood 1000; echo flooded; exec sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "1000");
    assert_eq!(container.line(), "flooded");
    container.kill("KILL").ok();
    assert_eq!(container.wait_within(at_once()), Some(128 + 9));
    container.delete().ok();
}

#[test]
fn c4_58_a_daemon_left_by_exec_dies_with_the_container() {
    let bed = Bed::new("c4-58d");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; exec sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    let daemon = "setsid sh -c 'exec sleep 1001' >/dev/null 2>&1 </dev/null & sleep 0";
    container.exec(&["/bin/sh", "-c", daemon]).ok();
    container.kill("KILL").ok();
    assert_eq!(container.wait_within(at_once()), Some(128 + 9));
    // The ledger finds the daemon if it is still there: its cgroup would be.
    container.delete().ok();
}

#[test]
fn c4_59_a_stopped_container_is_killed_at_once() {
    let bed = Bed::new("c4-59");
    let mut bundle = bed.bundle();
    bundle.sh("sleep 1000 & echo ready; kill -STOP $!; wait");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    let begin = Instant::now();
    container.delete_force().ok();
    assert!(container.wait_within(at_once()).is_some());
    assert!(begin.elapsed() < at_once(), "{:?}", begin.elapsed());
}

#[test]
fn c4_59_a_full_pipe_does_not_hold_delete_up() {
    let bed = Bed::new("c4-59p");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    container.delete_force().ok();
    assert!(container.wait_within(at_once()).is_some());
}

#[test]
fn c4_59_closed_standard_descriptors_do_not_hold_delete_up() {
    let bed = Bed::new("c4-59c");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; exec sleep 1000 <&- >&- 2>&-");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    container.delete_force().ok();
    assert!(container.wait_within(at_once()).is_some());
}

#[test]
fn c4_59_a_paused_container_is_deleted_by_force() {
    let bed = Bed::new("c4-59f");
    let mut bundle = bed.bundle();
    bundle.sh("echo ready; sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    container.call("pause", &[]).output().ok();
    container.delete_force().ok();
    assert!(container.wait_within(at_once()).is_some());
}

#[test]
fn c4_60_passwd_replaced_by_a_pipe_does_not_hold_exec_up() {
    let bed = Bed::new("c4-60");
    beyond_reference!(bed, "reading passwd without waiting; runc waits for ever");
    let mut bundle = bed.bundle();
    bundle.sh("rm /etc/passwd; mkfifo /etc/passwd; echo ready; sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    let begin = Instant::now();
    container.exec_with(&["--user", "1000"], &["/bin/true"]);
    container.exec_with(&["--user", "user"], &["/bin/true"]).refused();
    assert!(begin.elapsed() < testkit::patience() / 30, "{:?}", begin.elapsed());
}

#[test]
fn c4_60_passwd_replaced_by_a_link_does_not_lead_out() {
    let bed = Bed::new("c4-60l");
    let canary = testkit::canary::Canary::new(&bed.dir().join("canary"));
    let mut bundle = bed.bundle();
    let secret = canary.dir().join("secret");
    bundle.sh(&format!("ln -sf {} /etc/passwd; echo ready; sleep 1000", secret.display()));
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    container.exec_with(&["--user", "1000"], &["/bin/true"]);
    canary.assert_untouched();
}
