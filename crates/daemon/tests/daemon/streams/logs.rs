//! What containers wrote.

use std::io::{BufRead, BufReader, Write};

use serde_json::json;
use testkit::longshored::Exchange;

use super::bed::Bed;

#[test]
fn lines_come_as_asked_for() {
    let bed = Bed::new();
    let script = "for i in 1 2 3 4 5; do echo out $i; done; echo err >&2; printf end";
    let id = bed.run(&["sh", "-c", script], &json!({}));
    bed.wait(&id);
    assert_eq!(bed.text(&id, ""), "out 1\nout 2\nout 3\nout 4\nout 5\nenderr\n");
    assert_eq!(bed.text(&id, "tail=0"), "");
    assert_eq!(bed.text(&id, "tail=100").len(), bed.text(&id, "").len());
    assert_eq!(bed.text(&id, "tail=all").len(), bed.text(&id, "tail=-1").len());
    let last = bed.text(&id, "tail=1");
    assert!(last == "end" || last == "err\n", "{last}");
    assert_eq!(
        super::bed::frames(&bed.logs(&id, "stderr=1").expect(200).body),
        (String::new(), "err\n".into())
    );
    let refused = bed.logs(&id, "");
    assert_eq!(refused.message(), "Bad parameters: you must choose at least one stream");
    assert_eq!(refused.status, 400);
    assert_eq!(bed.logs(&id, "stdout=1&since=x").status, 400);
    let stamped = bed.text(&id, "timestamps=1");
    let times: Vec<&str> = stamped.lines().take(5).map(|line| line.split(' ').next().unwrap()).collect();
    assert!(times.iter().all(|time| time.len() == 30 && time.ends_with('Z')), "{times:?}");
    // A time between two lines divides them.
    for (index, time) in times.iter().enumerate() {
        let since = bed.text(&id, &format!("since={time}"));
        let first = times.iter().position(|other| other == time).unwrap();
        assert!(since.starts_with(&format!("out {}\n", first + 1)), "{since} since {time}");
        let until = bed.text(&id, &format!("until={time}"));
        assert!(until.contains(&format!("out {}\n", index + 1)), "{until} until {time}");
    }
    assert_eq!(bed.text(&id, "since=4102444800"), "");
}

#[test]
fn a_rotated_log_is_read_from_all_its_files_without_a_tear() {
    let bed = Bed::new();
    let log = json!({ "Type": "json-file", "Config": { "max-size": "20k", "max-file": "3" } });
    let id = bed.run(&["seq", "1", "3000"], &json!({ "HostConfig": { "LogConfig": log } }));
    bed.wait(&id);
    let text = bed.text(&id, "");
    let numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    let first = numbers[0];
    assert!(first > 1 && numbers.len() > 300, "{first}, {}", numbers.len());
    assert!(numbers.iter().copied().eq(first..=3000), "from {first}");
    for tail in [1, 10, numbers.len() - 1] {
        assert_eq!(bed.text(&id, &format!("tail={tail}")).lines().count(), tail);
    }
    assert!(bed.text(&id, "tail=5").starts_with("2996\n"));
}

#[test]
fn a_follower_hears_all_and_ends_with_the_container() {
    let bed = Bed::new();
    let log = json!({ "Type": "local", "Config": { "max-size": "20k" } });
    let more = json!({ "HostConfig": { "LogConfig": log }, "OpenStdin": true, "Tty": true });
    let script = "stty -echo; echo ready; read x; seq 1 2000; read x; echo last";
    let id = bed.run(&["sh", "-c", script], &more);
    let mut input =
        bed.hijack(&format!("/containers/{id}/attach?stdin=1&stream=1"), &serde_json::Value::Null);
    let mut stream = bed.daemon.connect();
    let path = format!("/containers/{id}/logs?stdout=1&follow=1");
    stream.write_all(&Exchange::new("GET", &path).head()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line == "ready"));
    input.stream.write_all(b"\n").unwrap();
    assert!(lines.by_ref().any(|line| line == "2000"));
    input.stream.write_all(b"\n").unwrap();
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line == "last"), "{rest:?}");
    bed.wait(&id);
}

#[test]
fn drivers_and_their_options_are_docker_s() {
    let bed = Bed::new();
    let none = bed.run(&["echo", "x"], &json!({ "HostConfig": { "LogConfig": { "Type": "none" } } }));
    bed.wait(&none);
    let refused = bed.logs(&none, "stdout=1");
    assert_eq!(refused.message(), "configured logging driver does not support reading");
    assert_eq!(refused.status, 501);
    let config = json!({ "labels": "a,b", "env-regex": "^X", "tag": "{{.Name}}/{{.ID}}" });
    let more = json!({
        "Labels": { "a": "1", "c": "2" }, "Env": ["XY=3", "Y=4"],
        "HostConfig": { "LogConfig": { "Type": "json-file", "Config": config } },
    });
    let id = bed.run(&["echo", "x"], &more);
    bed.wait(&id);
    let name = bed.inspect(&id)["Name"].as_str().unwrap().trim_start_matches('/').to_owned();
    let expected = format!("XY=3,a=1,tag={name}%2F{} x\n", &id[..12]);
    assert_eq!(bed.text(&id, "details=1"), expected);
    let path = bed.inspect(&id)["LogPath"].as_str().unwrap().to_owned();
    let line = std::fs::read_to_string(path).unwrap();
    assert!(line.starts_with(r#"{"log":"x\n","stream":"stdout","attrs":{"XY":"3","a":"1","tag":"#), "{line}");
}
