//! More processes in a running container.

use std::{fs, io::Read, os::fd::AsFd};

use longshore_runtime::{
    launch::{ControlError, Event},
    wire::{ExecStatus, FdRole, Refusal, Target},
};
use rustix::pipe::PipeFlags;

use super::bed::{Bed, How};

#[test]
fn an_exec_has_its_own_streams_and_status() {
    let bed = Bed::new("exec");
    let mut running = bed.launch("c", &["sleep", "1000"], &How::default());
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    let process = bed.process(&["sh", "-c", "echo pid $$; cat /proc/1/comm; exit 4"], false);
    let fds = [(FdRole::Stdout, writer.as_fd())];
    let exec = running.control.exec("one", &process, None, true, &fds).unwrap();
    assert!(exec.console.is_none());
    drop(writer);
    let mut text = String::new();
    fs::File::from(reader).read_to_string(&mut text).unwrap();
    assert!(text.starts_with("pid ") && text.ends_with("sleep\n"), "{text:?}");
    let Event::ExecExited(status) = running.control.next_event().unwrap() else { panic!() };
    assert_eq!((&*status.id, status.pid, status.exit.code), ("one", exec.pid, 4));
    let record = fs::read(running.path.join("exec-one.json")).unwrap();
    assert_eq!(serde_json::from_slice::<ExecStatus>(&record).unwrap(), status);
    // Whoever asks later hears it too.
    assert_eq!(running.connect().wait_exec("one").unwrap(), status);
    assert_eq!(running.log(), b"");
}

#[test]
fn a_terminal_of_an_exec_comes_to_who_asked() {
    let bed = Bed::new("exectty");
    let mut running = bed.launch("c", &["sleep", "1000"], &How::default());
    let process = bed.process(&["sh", "-c", "tty >/dev/null 2>&1; stty size; exit 0"], true);
    let exec = running.control.exec("t", &process, None, false, &[]).unwrap();
    let mut text = Vec::new();
    // A terminal that nobody has open any more answers EIO.
    fs::File::from(exec.console.unwrap()).read_to_end(&mut text).unwrap_err();
    assert!(String::from_utf8_lossy(&text).ends_with("\r\n"), "{text:?}");
    assert_eq!(running.control.wait_exec("t").unwrap().exit.code, 0);
}

#[test]
fn an_exec_that_cannot_start_says_why() {
    let bed = Bed::new("execfail");
    let mut running = bed.launch("c", &["sleep", "1000"], &How::default());
    let process = bed.process(&["/nothing"], false);
    let error = running.control.exec("e", &process, None, false, &[]).unwrap_err();
    let ControlError::Failed { errno, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*errno, Some(2), "{error}");
    let error = running.control.wait_exec("e").unwrap_err();
    assert!(matches!(error, ControlError::Refused(Refusal::NoSuchExec { .. })), "{error:?}");
}

#[test]
fn execs_are_told_apart_and_can_be_signalled() {
    let bed = Bed::new("execs");
    let mut running = bed.launch("c", &["sleep", "1000"], &How::default());
    let process = bed.process(&["sleep", "1000"], false);
    running.control.exec("a", &process, None, false, &[]).unwrap();
    running.control.exec("b", &process, None, false, &[]).unwrap();
    let error = running.control.exec("a", &process, None, false, &[]).unwrap_err();
    assert!(matches!(error, ControlError::Refused(Refusal::ExecExists { .. })), "{error:?}");
    let mut execs = running.control.status().unwrap().execs;
    execs.sort();
    assert_eq!(execs, ["a", "b"]);
    running.control.signal(Target::Exec("b".into()), 9).unwrap();
    let status = running.control.wait_exec("b").unwrap();
    assert_eq!((status.exit.code, status.exit.signal), (137, Some(9)));
    running.control.signal(Target::Init, 9).unwrap();
    // The kernel keeps the init from ending before all in its PID namespace are reaped.
    let mut told = Vec::new();
    let record = loop {
        match running.control.next_event().unwrap() {
            Event::ExecExited(status) => told.push((status.id, status.exit.signal)),
            Event::Exited(record) => break record,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told, [("b".to_owned(), Some(9)), ("a".to_owned(), Some(9))]);
    assert_eq!(record.signal, Some(9));
}
