//! pause and resume.

use super::idle;
use testkit::Bed;

#[test]
fn pause_stops_and_resume_goes_on() {
    let bed = Bed::new("pause");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    container.call("pause", &[]).output().ok();
    assert_eq!(container.status(), "paused");
    container.exec(&["/bin/true"]).refused();
    container.call("resume", &[]).output().ok();
    assert_eq!(container.status(), "running");
    container.exec(&["/bin/true"]).ok();
    container.call("resume", &[]).output().refused();
}

#[test]
fn a_paused_container_does_not_run() {
    let bed = Bed::new("pausecpu");
    let mut bundle = bed.bundle();
    bundle.sh("trap 'echo alive' USR1; echo ready; while :; do sleep 1000 & wait $!; done");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    container.call("pause", &[]).output().ok();
    // All its processes are frozen: asleep in the kernel, and no time passes for them.
    let stat = |field: usize| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", container.pid())).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(field - 3).unwrap().to_owned()
    };
    let before = (stat(14), stat(15));
    container.kill("USR1").ok();
    assert_eq!((stat(14), stat(15)), before);
    container.call("resume", &[]).output().ok();
    assert_eq!(container.line(), "alive");
}

#[test]
fn only_running_containers_are_paused() {
    let bed = Bed::new("pauseno");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    container.kill("KILL").ok();
    container.wait();
    container.call("pause", &[]).output().refused();
}
