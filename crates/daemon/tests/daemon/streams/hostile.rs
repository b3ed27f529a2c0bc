//! Clients and containers that misbehave.

use std::io::{ErrorKind, Write};

use serde_json::{Value, json};

use super::bed::Bed;

/// C3 37 and C8 97: input to a process that never reads is held back, and nothing grows.
#[test]
fn c3_37_input_that_nobody_reads_is_held_back() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &json!({ "OpenStdin": true }));
    let exec = bed.exec(&id, &["sleep", "1000"], &json!({ "AttachStdin": true }));
    let attach = format!("/containers/{id}/attach?stdin=1&stdout=1&stream=1");
    let before = bed.memory();
    for client in [bed.hijack(&attach, &Value::Null), bed.hijack(&format!("/exec/{exec}/start"), &json!({}))]
    {
        let pause = std::time::Duration::from_millis(500);
        client.stream.set_write_timeout(Some(pause)).unwrap();
        let piece = vec![b'x'; 1 << 16];
        let mut taken = 0_usize;
        loop {
            match (&client.stream).write(&piece) {
                Ok(length) => taken += length,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    break;
                }
            }
            assert!(taken < 8 << 20, "{taken} bytes were taken");
        }
    }
    assert!(bed.memory() < before + (16 << 10), "{before} kB, then {}", bed.memory());
    drop(bed.daemon.get("/_ping").expect(200));
}

/// C8 96: a flood of what is no text keeps to its files, and readers see whole lines.
#[test]
fn c8_96_a_flood_keeps_to_its_files() {
    let bed = Bed::new();
    let log = json!({ "Type": "json-file", "Config": { "max-size": "1m", "max-file": "3" } });
    let script = "head -c 20000000 /dev/urandom; echo; echo end";
    let id = bed.run(&["sh", "-c", script], &json!({ "HostConfig": { "LogConfig": log } }));
    let before = bed.memory();
    while bed.inspect(&id)["State"]["Running"] == true {
        assert_eq!(bed.logs(&id, "stdout=1&tail=3").status, 200);
    }
    assert!(bed.text(&id, "tail=1").ends_with("end\n"));
    let directory = bed.daemon.dir().join("data/containers").join(&id);
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().contains("-json.log") {
            files += 1;
            let length = entry.metadata().unwrap().len();
            assert!(length < 1_400_000, "{length} bytes in {:?}", entry.file_name());
            let text = std::fs::read_to_string(entry.path()).unwrap();
            assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
        }
    }
    assert_eq!(files, 3);
    assert!(bed.memory() < before + (32 << 10), "{before} kB, then {}", bed.memory());
}

/// C8 97: execs that are made and never started, and many that run.
#[test]
fn c8_97_execs_are_bounded() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &json!({}));
    let first = bed.exec(&id, &["true"], &json!({}));
    let before = bed.descriptors();
    for _ in 0..100 {
        let exec = bed.exec(&id, &["true"], &json!({}));
        assert_eq!(bed.exec_start(&exec).2, 0);
    }
    drop(bed.daemon.get(&format!("/exec/{first}/json")).expect(200));
    let end = std::time::Instant::now() + testkit::patience();
    while bed.descriptors() > before + 2 {
        assert!(std::time::Instant::now() < end, "{before}, then {}", bed.descriptors());
        std::thread::yield_now();
    }
}
