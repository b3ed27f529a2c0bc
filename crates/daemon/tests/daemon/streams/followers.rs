//! Clients that come and go, and a daemon that does.

use std::io::{BufRead, BufReader, Read, Write};

use serde_json::json;
use testkit::longshored::Exchange;

use super::bed::Bed;

/// C3 42, with fewer: a soak takes more.
#[test]
fn c3_42_followers_that_leave_give_their_descriptors_back() {
    let bed = Bed::new();
    let id = bed.run(&["sh", "-c", "echo ready; exec sleep 1000"], &json!({}));
    let head = Exchange::new("GET", &format!("/containers/{id}/logs?stdout=1&follow=1")).head();
    let open = |count: usize| -> Vec<_> {
        let follow = |_| {
            let mut stream = bed.daemon.connect();
            stream.write_all(&head).unwrap();
            stream
        };
        let mut streams: Vec<_> = (0..count).map(follow).collect();
        for stream in &mut streams {
            let mut heard = Vec::new();
            while !heard.ends_with(b"ready\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                heard.push(byte[0]);
            }
        }
        streams
    };
    drop(open(20));
    let settled = |most: usize| {
        let end = std::time::Instant::now() + testkit::patience();
        while bed.descriptors() > most {
            assert!(std::time::Instant::now() < end, "{} of {most}", bed.descriptors());
            std::thread::yield_now();
        }
    };
    settled(40);
    let before = bed.descriptors();
    for _ in 0..3 {
        drop(open(150));
    }
    settled(before);
}

#[test]
fn a_daemon_that_is_killed_loses_no_line() {
    let mut bed = Bed::new();
    let script = "echo ready; i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo $i; done; sleep 1000";
    let id = bed.run(&["sh", "-c", script], &json!({}));
    bed.daemon.kill();
    bed.daemon.start_again();
    let mut stream = bed.daemon.connect();
    let path = format!("/containers/{id}/logs?stdout=1&follow=1");
    stream.write_all(&Exchange::new("GET", &path).head()).unwrap();
    let mut heard = String::new();
    let mut reader = BufReader::new(stream);
    while !heard.contains("5000\n") {
        let mut line = Vec::new();
        assert!(reader.read_until(b'\n', &mut line).unwrap() > 0);
        heard += &String::from_utf8_lossy(&line);
    }
    let text = bed.text(&id, "");
    let numbers: Vec<u32> = text.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=5000), "{} lines", numbers.len());
}
