//! Containers that are made first and started later.

use std::{
    fs,
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::PathBuf,
};

use longshore_runtime::{
    launch::{Connection, ControlError, connect},
    wire::{Phase, Refusal, Target},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{
    bed::{Bed, How, Running, kill, parent},
    life::cgroups,
};

const HELD: How = How { hold: true, ..How::DEFAULT };

#[test]
fn a_created_container_runs_when_it_is_told() {
    let bed = Bed::new("held");
    let mut running = bed.launch("c", &["echo", "ran"], &HELD);
    let status = running.control.status().unwrap();
    assert_eq!((status.phase, status.started_at), (Phase::Created, 0));
    // It is the runtime's own init until then, and has its identity already.
    assert_ne!(fs::read_to_string(format!("/proc/{}/comm", running.pid)).unwrap(), "echo\n");
    let again = running.connect().status().unwrap();
    assert_eq!((again.pid, again.phase), (running.pid, Phase::Created));
    assert_eq!(running.log(), b"");
    let started = running.control.start().unwrap();
    assert_eq!(started.pid, running.pid);
    let record = running.control.wait().unwrap();
    assert_eq!((record.exit_code, record.started_at), (0, started.started_at));
    assert_eq!(running.log(), b"ran\n");
}

#[test]
fn what_needs_a_running_container_is_refused_before_the_start() {
    let bed = Bed::new("heldno");
    let mut running = bed.launch("c", &["sleep", "1000"], &HELD);
    let process = bed.process(&["true"], false);
    let refused = |result: Result<(), ControlError>| match result {
        Err(ControlError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let exec = running.control.exec("e", &process, None, false, &[]).map(drop);
    assert_eq!(refused(exec), Refusal::NotStarted);
    assert_eq!(refused(running.control.pause()), Refusal::NotStarted);
    assert_eq!(refused(running.control.resume()), Refusal::NotStarted);
    running.control.start().unwrap();
    assert_eq!(refused(running.control.start().map(drop)), Refusal::StartedAlready);
    assert_eq!(running.control.status().unwrap().phase, Phase::Running);
    running.control.exec("e", &process, None, false, &[]).unwrap();
    assert_eq!(running.control.wait_exec("e").unwrap().exit.code, 0);
}

#[test]
fn a_created_container_that_is_killed_never_started() {
    let bed = Bed::new("heldkill");
    let mut running = bed.launch("c", &["echo", "ran"], &HELD);
    running.control.signal(Target::Init, 9).unwrap();
    let record = running.control.wait().unwrap();
    assert_eq!((record.exit_code, record.signal, record.started_at), (137, Some(9), 0));
    assert_eq!(running.exit_record().unwrap(), record);
    assert_eq!(running.log(), b"");
}

#[test]
fn a_start_that_fails_says_why_and_ends_the_container() {
    let bed = Bed::new("heldfail");
    let program = bed.path.join("rootfs/bin/garbage");
    fs::write(&program, [0, 1, 2, 3]).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut running = bed.launch("c", &["/bin/garbage"], &HELD);
    match running.control.start() {
        Err(ControlError::Failed { step, errno, .. }) => {
            assert!(step.contains("/bin/garbage"), "{step}");
            assert_eq!(errno, Some(rustix::io::Errno::NOEXEC.raw_os_error()));
        }
        other => panic!("{other:?}"),
    }
    let record = running.control.wait().unwrap();
    assert_eq!((record.exit_code, record.started_at), (126, 0));
}

/// The ways to an init: cloned by its maker, or by a stage in between.
fn held(bed: &Bed, staged: bool) -> Running {
    if !staged {
        return bed.launch("c", &["sleep", "1000"], &HELD);
    }
    let mut plan = bed.plan("c", &["sleep", "1000"], &HELD);
    plan.namespaces.time_offsets = "monotonic 10 0\n".into();
    bed.launch_plan("c", &plan, &HELD)
}

/// Nobody could start it any more, or reap it.
#[test]
fn a_created_container_ends_with_its_monitor() {
    for staged in [false, true] {
        let bed = Bed::new("heldmonitor");
        let running = held(&bed, staged);
        let init = pidfd_open(Pid::from_raw(running.pid).unwrap(), PidfdFlags::empty()).unwrap();
        kill(parent(running.pid));
        let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
        let ended = poll(&mut [PollFd::new(&init, PollFlags::IN)], Some(&limit)).unwrap();
        pidfd_send_signal(&init, Signal::KILL).ok();
        for place in cgroups(&bed, "c") {
            while fs::remove_dir(&place).is_err() {}
        }
        assert_eq!(ended, 1, "the init waits for a monitor that is gone (staged: {staged})");
        assert!(matches!(connect(running.directory.as_fd()).unwrap(), Connection::Lost));
    }
}

#[test]
fn a_created_container_holds_nothing_of_its_monitor() {
    for staged in [false, true] {
        let bed = Bed::new("heldfds");
        let running = held(&bed, staged);
        let open: Vec<PathBuf> = fs::read_dir(format!("/proc/{}/fd", running.pid))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !["0", "1", "2"].iter().any(|number| path.ends_with(number)))
            .map(|path| fs::read_link(path).unwrap())
            .collect();
        // The end of the channel on which it is told to go.
        assert!(matches!(&open[..], [one] if one.to_string_lossy().starts_with("socket:")), "{open:?}");
    }
}
