//! Clients on the streams of containers.

use std::io::Write;

use serde_json::{Value, json};

use super::bed::{Bed, frames};

const ALL: &str = "stdin=1&stdout=1&stderr=1&stream=1";

#[test]
fn who_attaches_before_the_start_gets_all_output() {
    let bed = Bed::new();
    let id = bed.create(&["sh", "-c", "echo out; echo err >&2; exit 3"], &json!({}));
    let mut first = bed.hijack(&format!("/containers/{id}/attach?stdout=1&stderr=1&stream=1"), &Value::Null);
    let mut second = bed.hijack(&format!("/containers/{id}/attach?stderr=1&stream=1"), &Value::Null);
    assert_eq!(first.media, "application/vnd.docker.multiplexed-stream");
    bed.start(&id);
    assert_eq!(frames(&first.rest()), ("out\n".into(), "err\n".into()));
    assert_eq!(frames(&second.rest()), (String::new(), "err\n".into()));
    assert_eq!(bed.wait(&id), 3);
    let mut history = bed.hijack(&format!("/containers/{id}/attach?stdout=1&logs=1"), &Value::Null);
    assert_eq!(frames(&history.rest()).0, "out\n");
}

#[test]
fn input_goes_through_and_ends_when_the_client_s_does() {
    let bed = Bed::new();
    let id = bed.create(&["cat"], &json!({ "OpenStdin": true, "StdinOnce": true, "AttachStdin": true }));
    let mut client = bed.hijack(&format!("/containers/{id}/attach?{ALL}"), &Value::Null);
    bed.start(&id);
    let text = "0123456789abcde\n".repeat(1 << 16);
    let mut writer = client.stream.try_clone().unwrap();
    let sent = text.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(sent.as_bytes()).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let (stdout, stderr) = frames(&client.rest());
    writing.join().unwrap();
    assert!(stdout == text && stderr.is_empty(), "{} bytes", stdout.len());
    assert_eq!(bed.wait(&id), 0);
}

#[test]
fn a_terminal_is_left_by_its_keys_and_goes_on() {
    let bed = Bed::new();
    let id = bed.run(&["sh"], &json!({ "Tty": true, "OpenStdin": true }));
    let mut client = bed.hijack(&format!("/containers/{id}/attach?{ALL}&detachKeys=ctrl-x,y"), &Value::Null);
    assert_eq!(client.media, "application/vnd.docker.raw-stream");
    drop(bed.daemon.post(&format!("/containers/{id}/resize?h=33&w=77"), &Value::Null).expect(200));
    client.stream.write_all(b"stty size\n").unwrap();
    client.until("33 77");
    client.stream.write_all(b"\x18y").unwrap();
    client.rest();
    assert_eq!(bed.inspect(&id)["State"]["Status"], "running");
    let mut again = bed.hijack(&format!("/containers/{id}/attach?{ALL}"), &Value::Null);
    again.stream.write_all(b"exit 5\n").unwrap();
    again.rest();
    assert_eq!(bed.wait(&id), 5);
}

#[test]
fn what_cannot_be_attached_to_is_refused_in_docker_s_words() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &json!({}));
    let attach = |query: &str| bed.daemon.post(&format!("/containers/{id}/attach?{query}"), &Value::Null);
    let refused = attach("stream=1&detachKeys=ctrl-");
    assert_eq!((refused.status, refused.message()), (400, "Invalid detach keys (ctrl-) provided".into()));
    drop(bed.daemon.post(&format!("/containers/{id}/pause"), &Value::Null).expect(204));
    let message = format!("container {id} is paused, unpause the container before attach");
    let refused = attach("stream=1&stdout=1");
    assert_eq!((refused.status, refused.message()), (409, message));
    assert_eq!(bed.daemon.post("/containers/none/attach", &Value::Null).status, 404);
    for query in ["h=x&w=1", "h=-1&w=1", "w=1"] {
        assert_eq!(bed.daemon.post(&format!("/containers/{id}/resize?{query}"), &Value::Null).status, 400);
    }
}
