//! Stopping and continuing containers.

use longshore_runtime::{
    launch::ControlError,
    wire::{Attach, Io, Phase, Refusal, Stdin, Target},
};

use super::bed::{Bed, How, hear_until};

const TALKING: How = How { io: Io::Pipes { stdin: Stdin::Open }, ..How::DEFAULT };

/// Whether the process sleeps in the freezer of either version, by what the kernel shows of it.
fn is_frozen(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    status.lines().any(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap(), fields.next().unwrap());
        let state = |path: String| std::fs::read_to_string(path).unwrap_or_default();
        match controllers {
            "freezer" => state(format!("/sys/fs/cgroup/freezer{path}/freezer.state")).trim() == "FROZEN",
            "" => state(format!("/sys/fs/cgroup{path}/cgroup.events")).contains("frozen 1"),
            _ => false,
        }
    })
}

#[test]
fn a_paused_container_stands_still_and_goes_on() {
    let bed = Bed::new("pause");
    let mut running = bed.launch("c", &["cat"], &TALKING);
    running.control.attach(Attach::default()).unwrap();
    running.control.input(b"before\n").unwrap();
    hear_until(&mut running.control, "before\n");
    running.control.pause().unwrap();
    assert!(is_frozen(running.pid));
    assert_eq!(running.control.status().unwrap().phase, Phase::Paused);
    running.control.input(b"meanwhile\n").unwrap();
    match running.control.pause() {
        Err(ControlError::Refused(Refusal::Paused)) => {}
        other => panic!("{other:?}"),
    }
    match running.control.exec("e", &bed.process(&["true"], false), None, false, &[]) {
        Err(ControlError::Refused(Refusal::Paused)) => {}
        other => panic!("{other:?}"),
    }
    running.control.resume().unwrap();
    assert!(!is_frozen(running.pid));
    assert_eq!(running.control.status().unwrap().phase, Phase::Running);
    hear_until(&mut running.control, "meanwhile\n");
    match running.control.resume() {
        Err(ControlError::Refused(Refusal::NotPaused)) => {}
        other => panic!("{other:?}"),
    }
    running.control.close_input().unwrap();
    assert_eq!(running.control.wait().unwrap().exit_code, 0);
}

#[test]
fn a_paused_container_can_be_killed() {
    for target in [Target::Init, Target::All] {
        let bed = Bed::new("pausekill");
        let mut running = bed.launch("c", &["sh", "-c", "sleep 1000 & sleep 1000"], &How::DEFAULT);
        running.control.pause().unwrap();
        running.control.signal(target, 9).unwrap();
        assert_eq!(running.control.wait().unwrap().signal, Some(9));
    }
}
