//! `/events`.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
};

use serde_json::Value;
use testkit::longshored::{Exchange, Longshored};

use super::{lines, tar};

/// Events as they come.
struct Listener(BufReader<UnixStream>);

impl Listener {
    fn new(daemon: &Longshored, path: &str, accept: &str) -> (Self, String) {
        let mut stream = daemon.connect();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut listener = Self(BufReader::new(stream));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(listener.0.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        (listener, head)
    }

    /// The next piece of the body; nothing at its end.
    fn next(&mut self) -> Option<String> {
        let mut size = String::new();
        self.0.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut piece = vec![0; size + 2];
        std::io::Read::read_exact(&mut self.0, &mut piece).unwrap();
        (size > 0).then(|| String::from_utf8(piece[..size].to_vec()).unwrap())
    }
}

fn import(daemon: &Longshored, repository: &str) {
    let path = format!("/images/create?fromSrc=-&repo={repository}&tag=1");
    daemon.send(&Exchange::new("POST", &path).body(tar(&[("f", repository.as_bytes())]))).expect(200);
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["Action"].as_str().unwrap()).collect()
}

#[test]
fn what_happens_to_images_is_told() {
    let daemon = Longshored::start();
    let (mut live, head) = Listener::new(&daemon, "/v1.51/events", "*/*");
    assert!(head.to_ascii_lowercase().contains("content-type: application/json\r\n"), "{head}");
    import(&daemon, "a");
    let mut first: Value = serde_json::from_str(&live.next().unwrap()).unwrap();
    assert_eq!(first["Type"], "image");
    assert_eq!(first["Action"], "import");
    assert_eq!(first["status"], "import");
    assert_eq!(first["Actor"]["Attributes"]["name"], "a:1");
    assert_eq!(first["id"], first["Actor"]["ID"]);
    assert_eq!(first["scope"], "local");
    let nanos = first["timeNano"].take().as_i64().unwrap();
    assert_eq!(first["time"], nanos / 1_000_000_000);
    daemon.post("/images/a:1/tag?repo=b&tag=2", &Value::Null).expect(201);
    let archive = daemon.get("/images/b:2/get").expect(200).body;
    daemon.delete("/images/a:1").expect(200);
    daemon.delete("/images/b:2").expect(200);
    daemon.send(&Exchange::new("POST", "/images/load").body(archive)).expect(200);
    daemon.post("/images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D", &Value::Null).expect(200);
    let all = daemon.get("/events?since=0&until=0s").expect(200);
    let told = lines(&all.text());
    let expected = ["import", "tag", "save", "untag", "untag", "delete", "load", "untag", "delete", "prune"];
    assert_eq!(actions(&told), expected);
    assert_eq!(told[0].get("status"), None, "the words of before 1.22 are gone from 1.52");
    // What was told live is the same.
    let mut seen = vec![first];
    while seen.len() < expected.len() {
        seen.extend(lines(&live.next().unwrap()));
    }
    assert_eq!(actions(&seen), expected);
    let some = daemon.get("/events?since=0&until=0s&filters=%7B%22event%22%3A%5B%22tag%22%5D%7D").expect(200);
    assert_eq!(actions(&lines(&some.text())), ["tag"]);
}

#[test]
fn a_stream_ends_at_its_time_and_has_the_form_that_is_asked_for() {
    let daemon = Longshored::start();
    import(&daemon, "a");
    for (path, accept, kind) in [
        ("/v1.51/events", "", "application/json"),
        ("/v1.52/events", "", "application/jsonl"),
        ("/events", "application/x-ndjson", "application/x-ndjson"),
        ("/events", "application/json-seq", "application/json-seq"),
    ] {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let until = now + std::time::Duration::from_millis(200);
        let until = format!("{}.{:09}", until.as_secs(), until.subsec_nanos());
        let request = Exchange::new("GET", &format!("{path}?since=0&until={until}"));
        let answer = daemon.send(&request.header("Accept", accept)).expect(200);
        assert_eq!(answer.headers["content-type"], kind);
        let text = answer.text();
        assert_eq!(text.starts_with('\u{1e}'), kind == "application/json-seq");
        assert_eq!(actions(&lines(text.trim_start_matches('\u{1e}'))), ["import"]);
    }
}

#[test]
fn five_thousand_listeners_leave_nothing() {
    let daemon = Longshored::start();
    let count = || std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    let before = count();
    let mut listeners: Vec<_> = (0..5000).map(|_| Listener::new(&daemon, "/events", "*/*").0).collect();
    assert!(count() > 5000, "{} descriptors, {before} before", count());
    import(&daemon, "a");
    for listener in &mut listeners {
        assert!(listener.next().unwrap().contains("import"));
    }
    drop(listeners);
    let end = std::time::Instant::now() + testkit::patience();
    while count() > before + 8 {
        assert!(std::time::Instant::now() < end, "{} descriptors, {before} before", count());
        std::thread::yield_now();
    }
}
