//! Output, input, terminals, and clients that do not behave.

use std::{fs, time::Instant};

use longshore_runtime::{
    launch::{ControlError, Event},
    spec::ConsoleSize,
    wire::{Attach, DropReason, Io, LogSink, Refusal, Stdin},
};

use super::bed::{Bed, How, hear, hear_until};

const MEGABYTE: usize = 1 << 20;

#[test]
fn output_is_logged_byte_for_byte() {
    let bed = Bed::new("bytes");
    let bytes: Vec<u8> = (0..4 << 20).map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    fs::write(bed.path.join("rootfs/tmp/data"), &bytes).unwrap();
    let script = "cat /tmp/data; echo problem >&2";
    let mut running = bed.launch("c", &["sh", "-c", script], &How::default());
    assert_eq!(running.control.wait().unwrap().exit_code, 0);
    let (text, problem) = (running.log(), b"problem\n");
    // The streams have a pipe each, so the last of one may come after the first of the other.
    let at = text.windows(problem.len()).rposition(|window| window == problem).unwrap();
    assert!([&text[..at], &text[at + problem.len()..]].concat() == bytes);
}

#[test]
fn the_json_log_is_dockers() {
    let bed = Bed::new("json");
    let log = LogSink::Json {
        name: "c-json.log".into(),
        max_size: Some(3000),
        max_files: 3,
        attributes: vec![("tag".into(), "x".into())],
    };
    let script =
        "echo one; echo two >&2; i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; printf tail";
    let mut running = bed.launch("c", &["sh", "-c", script], &How { log, ..How::default() });
    running.control.wait().unwrap();
    let read = |name: &str| fs::read_to_string(running.path.join(name)).unwrap_or_default();
    let all = read("c-json.log.2") + &read("c-json.log.1") + &read("c-json.log");
    let mut texts = Vec::new();
    for line in all.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["attrs"]["tag"], "x");
        assert!(record["time"].as_str().unwrap().ends_with('Z'));
        texts.push((record["stream"].clone(), record["log"].as_str().unwrap().to_owned()));
    }
    assert!(texts.iter().any(|(_, text)| text == "line 99\n"), "{all}");
    assert!(texts.iter().any(|(_, text)| text == "tail"), "{all}");
    assert!(!running.path.join("c-json.log.3").exists());
}

#[test]
fn a_client_that_never_reads_holds_up_nobody() {
    let bed = Bed::new("slow");
    let how = How { io: Io::Pipes { stdin: Stdin::Open }, ..How::default() };
    let script = "read x; dd if=/dev/zero bs=1M count=100 2>/dev/null | tr '\\0' x";
    let mut running = bed.launch("c", &["sh", "-c", script], &how);
    let mut stuck = running.connect();
    stuck.attach(Attach::default()).unwrap();
    let mut reader = running.connect();
    reader.attach(Attach::default()).unwrap();
    let start = Instant::now();
    running.control.input(b"go\n").unwrap();
    let heard = hear_attached(&mut reader);
    println!("100 MB beside a client that never reads: {:?}", start.elapsed());
    assert_eq!(heard, 100 * MEGABYTE);
    assert_eq!(running.control.wait().unwrap().exit_code, 0);
    assert_eq!(fs::metadata(running.path.join("log")).unwrap().len(), 100 << 20);
    // What it finds when it comes back is what its socket held and why there is no more.
    let reason = loop {
        match stuck.next_event() {
            Ok(Event::Stdout(_)) => {}
            Ok(Event::Dropped(reason)) => break Some(reason),
            Err(ControlError::Gone) => break None,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(reason, Some(DropReason::TooSlow) | None));
}

/// Bytes of output until the connection ends.
fn hear_attached(control: &mut longshore_runtime::launch::Control) -> usize {
    let mut bytes = 0;
    loop {
        match control.next_event() {
            Ok(Event::Stdout(output)) => {
                assert!(output.iter().all(|byte| *byte == b'x'));
                bytes += output.len();
            }
            Ok(Event::Exited(_)) => return bytes,
            other => panic!("{other:?} after {bytes} bytes"),
        }
    }
}

#[test]
fn a_patient_client_loses_nothing() {
    let bed = Bed::new("patient");
    let how = How { io: Io::Pipes { stdin: Stdin::Open }, log: LogSink::None, ..How::default() };
    let script = "read x; dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\\0' x";
    let mut running = bed.launch("c", &["sh", "-c", script], &how);
    let mut reader = running.connect();
    reader.attach(Attach { buffer: 4096, patience: u32::MAX, ..Attach::default() }).unwrap();
    running.control.input(b"go\n").unwrap();
    // Its socket fills, then its buffer, and the container waits.
    let before = running.control.status().unwrap();
    assert_eq!(before.exit, None);
    assert_eq!(hear_attached(&mut reader), 8 * MEGABYTE);
}

#[test]
fn input_arrives_and_ends_with_the_one_client() {
    let bed = Bed::new("once");
    let how = How { io: Io::Pipes { stdin: Stdin::Once }, ..How::default() };
    let mut running = bed.launch("c", &["cat"], &how);
    let mut writer = running.connect();
    writer.attach(Attach { stdin: true, stdout: false, stderr: false, ..Attach::default() }).unwrap();
    let text = vec![b'y'; MEGABYTE];
    writer.input(&text).unwrap();
    drop(writer);
    assert_eq!(running.control.wait().unwrap().exit_code, 0);
    assert_eq!(running.log(), text);
}

#[test]
fn input_stays_open_for_the_next_client() {
    let bed = Bed::new("open");
    let how = How { io: Io::Pipes { stdin: Stdin::Open }, ..How::default() };
    let mut running = bed.launch("c", &["cat"], &how);
    for _ in 0..2 {
        let mut writer = running.connect();
        writer.attach(Attach { stdin: true, ..Attach::default() }).unwrap();
        writer.input(b"line\n").unwrap();
        hear_until(&mut writer, "line\n");
    }
    running.control.close_input().unwrap();
    running.control.wait().unwrap();
    assert_eq!(running.log(), b"line\nline\n");
}

#[test]
fn a_terminal_has_the_size_that_it_is_given() {
    let bed = Bed::new("tty");
    let how = How { terminal: true, io: Io::Pipes { stdin: Stdin::Open }, ..How::default() };
    let script = "trap 'stty size' WINCH; stty -echo; stty size; while :; do read x && eval \"$x\"; done";
    let mut running = bed.launch("c", &["sh", "-c", script], &how);
    running.control.attach(Attach::default()).unwrap();
    running.control.resize(ConsoleSize { height: 33, width: 101 }).unwrap();
    running.control.input(b"stty size\n").unwrap();
    hear_until(&mut running.control, "33 101\r\n");
    running.control.input(b"exit 5\n").unwrap();
    assert_eq!(hear(&mut running.control).exit.unwrap().exit_code, 5);
}

#[test]
fn without_a_terminal_there_is_nothing_to_resize() {
    let bed = Bed::new("notty");
    let mut running = bed.launch("c", &["sleep", "1000"], &How::default());
    let error = running.control.resize(ConsoleSize { height: 1, width: 1 }).unwrap_err();
    assert!(matches!(error, ControlError::Refused(Refusal::Without { .. })), "{error:?}");
}

#[test]
fn a_full_disk_costs_the_log_and_nothing_else() {
    let bed = Bed::new("full");
    // Every write to it answers ENOSPC.
    let path = bed.path.join("c");
    fs::create_dir_all(&path).unwrap();
    std::os::unix::fs::symlink("/dev/full", path.join("log")).unwrap();
    let how = How { io: Io::Pipes { stdin: Stdin::Open }, ..How::default() };
    let mut running = bed.launch("c", &["sh", "-c", "read x; echo hello; read x"], &how);
    running.control.attach(Attach::default()).unwrap();
    running.control.input(b"\n").unwrap();
    hear_until(&mut running.control, "hello\n");
    let log = running.control.status().unwrap().log;
    assert_eq!((log.written, log.lost, log.last_errno), (0, 6, Some(28)));
    running.control.close_input().unwrap();
    assert_eq!(running.control.wait().unwrap().exit_code, 1);
}
