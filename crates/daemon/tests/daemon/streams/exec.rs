//! More processes in containers.

use std::io::{Read, Write};

use serde_json::{Value, json};

use super::bed::{Bed, frames};

#[test]
fn an_exec_has_its_own_streams_environment_and_status() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &json!({ "Env": ["A=1", "B=2"] }));
    let script = "echo $A $B $C; pwd; id -u; id -G; echo err >&2; exit 7";
    let more = json!({ "Env": ["A=9", "C=3"], "WorkingDir": "/tmp", "User": "ann" });
    let exec = bed.exec(&id, &["sh", "-c", script], &more);
    let before = bed.daemon.get(&format!("/exec/{exec}/json")).expect(200).json();
    assert_eq!((&before["Running"], &before["ExitCode"]), (&json!(false), &Value::Null));
    assert_eq!(bed.inspect(&id)["ExecIDs"], json!([exec]));
    let (stdout, stderr, code) = bed.exec_start(&exec);
    assert_eq!((&*stdout, &*stderr), ("9 2 3\n/tmp\n1000\n100 10\n", "err\n"));
    assert_eq!(code, 7);
    let again = bed.daemon.post(&format!("/exec/{exec}/start"), &json!({}));
    assert_eq!((again.status, again.message()), (409, format!("exec command {exec} has already run")));
    assert_eq!(bed.inspect(&id)["ExecIDs"], Value::Null);
}

#[test]
fn input_ends_with_the_client_s() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &json!({}));
    let exec = bed.exec(&id, &["cat"], &json!({ "AttachStdin": true }));
    let mut client = bed.hijack(&format!("/exec/{exec}/start"), &json!({}));
    client.stream.write_all(b"hello\n").unwrap();
    client.end();
    assert_eq!(frames(&client.rest()).0, "hello\n");
    assert_eq!(bed.daemon.get(&format!("/exec/{exec}/json")).expect(200).json()["ExitCode"], 0);
}

#[test]
fn a_terminal_has_a_size_and_is_left_by_its_keys() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &json!({}));
    let more = json!({ "AttachStdin": true, "Tty": true, "ConsoleSize": [22, 44] });
    let exec = bed.exec(&id, &["sh"], &more);
    let mut client = bed.hijack(&format!("/exec/{exec}/start"), &json!({ "Tty": true }));
    client.stream.write_all(b"stty size\n").unwrap();
    client.until("22 44");
    drop(bed.daemon.post(&format!("/exec/{exec}/resize?h=11&w=12"), &Value::Null).expect(200));
    client.stream.write_all(b"stty size\n").unwrap();
    client.until("11 12");
    client.stream.write_all(b"\x10\x11").unwrap();
    client.rest();
    assert_eq!(bed.daemon.get(&format!("/exec/{exec}/json")).expect(200).json()["Running"], true);
}

#[test]
fn what_cannot_run_says_why_and_has_a_code() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &json!({}));
    for (command, reason, code) in [
        ("nothing", "exec: \"nothing\": executable file not found in $PATH", 127),
        ("/nothing", "exec: \"/nothing\": no such file or directory", 127),
        ("/etc/passwd", "exec: \"/etc/passwd\": permission denied", 126),
        ("/etc", "exec: \"/etc\": is a directory: permission denied", 126),
    ] {
        let exec = bed.exec(&id, &[command], &json!({}));
        let (stdout, _, found) = bed.exec_start(&exec);
        let whole =
            format!("OCI runtime exec failed: exec failed: unable to start container process: {reason}\r\n");
        assert_eq!((stdout, found), (whole, json!(code)));
    }
}

#[test]
fn refusals_are_docker_s() {
    let bed = Bed::new();
    let id = bed.create(&["sleep", "1000"], &json!({}));
    let create = |document: Value| {
        let answer = bed.daemon.post(&format!("/containers/{id}/exec"), &document);
        (answer.status, answer.message())
    };
    assert_eq!(create(json!({})), (400, "No exec command specified".into()));
    assert_eq!(create(json!({ "Cmd": ["true"] })), (409, format!("container {id} is not running")));
    bed.start(&id);
    let nobody = "unable to find user nobody: no matching entries in passwd file";
    assert_eq!(create(json!({ "Cmd": ["true"], "User": "nobody" })), (400, nobody.into()));
    let waiting = bed.exec(&id, &["true"], &json!({}));
    drop(bed.daemon.post(&format!("/containers/{id}/pause"), &Value::Null).expect(204));
    let paused = format!("container {id} is paused, unpause the container before exec");
    assert_eq!(create(json!({ "Cmd": ["true"] })), (409, paused.clone()));
    let started = bed.daemon.post(&format!("/exec/{waiting}/start"), &json!({ "Detach": true }));
    assert_eq!((started.status, started.message()), (409, paused));
    let unknown = bed.daemon.post("/exec/none/start", &json!({}));
    assert_eq!((unknown.status, unknown.message()), (404, "No such exec instance: none".into()));
}

#[test]
fn a_detached_exec_outlives_the_daemon() {
    let mut bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &json!({}));
    let script = "while [ ! -e /go ]; do echo waiting; done; touch /done; exec sleep 1000";
    let exec = bed.exec(&id, &["sh", "-c", script], &json!({}));
    drop(bed.daemon.post(&format!("/exec/{exec}/start"), &json!({ "Detach": true })).expect(200));
    bed.daemon.kill();
    bed.daemon.start_again();
    let run = |script: &str| {
        let exec = bed.exec(&id, &["sh", "-c", script], &json!({}));
        bed.exec_start(&exec).2
    };
    assert_eq!(run("touch /go; while [ ! -e /done ]; do :; done"), 0);
}

/// Docker's client for Python reads the head through a buffer, and what comes along in it is lost.
#[test]
fn nothing_comes_along_with_the_head_of_an_upgrade() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &json!({}));
    for round in 0..20 {
        let exec = bed.exec(&id, &["echo", "hello"], &json!({}));
        let mut client = bed.daemon.connect();
        let head = "HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n";
        let request = format!("POST /exec/{exec}/start {head}Content-Length: 2\r\n\r\n{{}}");
        client.write_all(request.as_bytes()).unwrap();
        // The output is ready by then, or all but.
        let mut looked = 0;
        while looked < 20 {
            let state = bed.daemon.get(&format!("/exec/{exec}/json")).expect(200).json();
            looked += if state["Running"] == true || state["ExitCode"] == 0 { 5 } else { 1 };
        }
        let mut buffer = [0; 4096];
        let length = client.read(&mut buffer).unwrap();
        let head = String::from_utf8_lossy(&buffer[..length]);
        assert!(head.starts_with("HTTP/1.1 101 ") && head.ends_with("\r\n\r\n"), "{round}: {head:?}");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert_eq!(frames(&rest).0, "hello\n");
    }
}
