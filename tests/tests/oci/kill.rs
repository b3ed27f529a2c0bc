//! kill and ps.

use super::idle;
use testkit::Bed;

#[test]
fn signals_by_name_and_number_reach_init() {
    let bed = Bed::new("kill");
    let mut bundle = bed.bundle();
    let script = "trap 'echo usr1' USR1; trap 'echo hup' HUP; trap 'echo term; exit 5' TERM; echo ready\n\
        while :; do sleep 1000 & wait $!; done";
    bundle.sh(script);
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    for (signal, word) in
        [("USR1", "usr1"), ("SIGUSR1", "usr1"), ("10", "usr1"), ("HUP", "hup"), ("1", "hup")]
    {
        container.kill(signal).ok();
        assert_eq!(container.line(), word, "{signal}");
    }
    // The default is SIGTERM.
    container.call("kill", &[]).output().ok();
    assert_eq!(container.line(), "term");
    assert_eq!(container.wait(), 5);
}

#[test]
fn unknown_signals_are_refused() {
    let bed = Bed::new("killbad");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    for signal in ["NOSUCH", "SIGNOSUCH", "9x", "1000"] {
        container.kill(signal).refused();
    }
    assert_eq!(container.status(), "running");
}

#[test]
fn a_stopped_container_cannot_be_killed() {
    let bed = Bed::new("killstop");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    container.kill("KILL").ok();
    assert_eq!(container.wait(), 128 + 9);
    let error = container.kill("KILL").refused();
    assert!(error.contains("not running"), "{error}");
}

#[test]
fn kill_all_reaches_every_process() {
    let bed = Bed::new("killall");
    let mut bundle = bed.bundle();
    // A child is ready when it has executed something: before, it still has the trap.
    let child = "sh -c 'echo up; exec sleep 1001' &";
    bundle.sh(&format!("trap : TERM; {child} {child} echo up; wait; wait; echo waited; sleep 1003"));
    let container = bed.start(&bundle);
    for _ in 0..3 {
        assert_eq!(container.line(), "up");
    }
    container.call("kill", &["--all"]).arg("TERM").output().ok();
    // The children die, init handles it.
    assert_eq!(container.line(), "waited");
    container.call("kill", &["--all"]).arg("KILL").output().ok();
    assert_eq!(container.wait(), 128 + 9);
}

#[test]
fn kill_without_a_pid_namespace_ends_what_is_in_the_cgroup() {
    let bed = Bed::new("killshar");
    let mut bundle = bed.bundle();
    bundle.without_namespace("pid").sh("sleep 1001 >/dev/null & echo ready; sleep 1002");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    container.call("kill", &["--all"]).arg("KILL").output().ok();
    container.wait();
    // The ledger looks for processes in the cgroup: an occupied one could not be removed.
    container.delete().ok();
}

#[test]
fn ps_shows_the_processes() {
    let bed = Bed::new("ps");
    let mut bundle = bed.bundle();
    bundle.sh("sleep 1001 & echo ready; wait");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    let mut pids: Vec<i64> = container.call("ps", &["--format", "json"]).output().ok().json();
    pids.sort_unstable();
    assert_eq!(pids.len(), 2, "{pids:?}");
    assert!(pids.contains(&i64::from(container.pid())), "{pids:?}");
    let table = container.call("ps", &[]).output().ok().stdout;
    assert!(table.lines().next().unwrap().contains("PID"), "{table}");
    assert!(table.contains("sleep 1001"), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");
}
