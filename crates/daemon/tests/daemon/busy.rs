//! The daemon killed while everything is busy: what runs goes on, and the next one finds it all.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use longshore_network::namespace::Namespace;
use serde_json::{Value, json};
use testkit::longshored::Exchange;

use crate::streams::bed::Bed;

const COUNTER: &str = "i=0; while :; do i=$((i+1)); echo $i; echo $i > /now; sleep 0.01; done";
const SERVER: &str = "echo ready; while :; do busybox nc -l -p 80 -e busybox echo hello; done";

/// A number that a container has written into a file of its own.
fn now(pid: i64) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/root/now")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Waits until a container has counted on.
fn counts_on(pid: i64) {
    let (before, end) = (now(pid), Instant::now() + testkit::patience());
    while now(pid) <= before + 5 {
        assert!(Instant::now() < end, "it stands still at {before}");
        std::thread::yield_now();
    }
}

/// Asks a published port.
fn ask(port: u16) {
    let end = Instant::now() + testkit::patience();
    loop {
        let answer = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        if answer.as_deref().is_ok_and(|answer| answer == "hello\n") {
            return;
        }
        assert!(Instant::now() < end, "{answer:?}");
        // It serves one after the other.
        std::thread::yield_now();
    }
}

fn pid(bed: &Bed, id: &str) -> i64 {
    bed.inspect(id)["State"]["Pid"].as_i64().unwrap()
}

#[test]
fn what_runs_goes_on_while_the_daemon_is_killed_again_and_again() {
    let (host, _) = Namespace::create().unwrap();
    host.enter(|| {
        let mut bed = Bed::new();
        let counters: Vec<String> =
            (0..4).map(|_| bed.run(&["sh", "-c", COUNTER], &json!({ "OpenStdin": true }))).collect();
        let pids: Vec<i64> = counters.iter().map(|id| pid(&bed, id)).collect();
        let published = json!({ "ExposedPorts": { "80/tcp": {} }, "HostConfig": { "NetworkMode": "bridge",
            "PortBindings": { "80/tcp": [{ "HostPort": "8088" }] } } });
        let server = bed.run(&["sh", "-c", SERVER], &published);
        ask(8088);
        for round in 0..3 {
            // Clients of all kinds.
            let attached = bed.hijack(
                &format!("/containers/{}/attach?stdin=1&stdout=1&stream=1", counters[0]),
                &Value::Null,
            );
            let exec =
                bed.exec(&counters[1], &["sh", "-c", "while :; do echo x; sleep 0.01; done"], &Value::Null);
            let mut running = bed.hijack(&format!("/exec/{exec}/start"), &json!({}));
            running.until("x");
            let mut follower = bed.daemon.connect();
            let follow = Exchange::new("GET", &format!("/containers/{}/logs?stdout=1&follow=1", counters[2]));
            follower.write_all(&follow.head()).unwrap();
            let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
            let ends = bed.run(&["sh", "-c", script], &Value::Null);
            while !bed.text(&ends, "").contains("ready") {}
            let ending =
                i32::try_from(pid(&bed, &ends)).ok().and_then(rustix::process::Pid::from_raw).unwrap();
            bed.daemon.kill();
            rustix::process::kill_process(ending, rustix::process::Signal::TERM).unwrap();
            for pid in &pids {
                counts_on(*pid);
            }
            ask(8088);
            drop((attached, running, follower));
            let begun = Instant::now();
            bed.daemon.start_again();
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
            assert_eq!(bed.wait(&ends), 7, "round {round}");
            ask(8088);
            for (id, pid) in counters.iter().zip(&pids) {
                assert_eq!(self::pid(&bed, id), *pid);
                counts_on(*pid);
            }
        }
        for id in &counters {
            no_line_is_lost(&bed, id);
        }
        assert_eq!(bed.inspect(&server)["State"]["Running"], true);
        for id in counters.iter().chain([&server]) {
            drop(bed.daemon.post(&format!("/containers/{id}/kill"), &Value::Null).expect(204));
            assert_eq!(bed.inspect(id)["State"]["ExitCode"], 137);
        }
    })
    .unwrap();
}

/// The log has every number, once.
fn no_line_is_lost(bed: &Bed, id: &str) {
    let text = bed.text(id, "");
    let numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{} lines", numbers.len());
    assert!(numbers.len() > 50, "{} lines", numbers.len());
}

/// C3 42: `LONGSHORE_FOLLOWERS=5000` is the row's own number.
#[test]
fn c3_42_followers_of_everything_leave_nothing() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let count = std::env::var("LONGSHORE_FOLLOWERS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let bed = Bed::new();
    let id = bed.run(&["sh", "-c", "echo ready; exec sleep 1000"], &Value::Null);
    let paths = [
        format!("/containers/{id}/logs?stdout=1&follow=1"),
        "/events".to_owned(),
        format!("/containers/{id}/stats?stream=1"),
        format!("/containers/{id}/wait"),
    ];
    let round = |count: usize| {
        let open = |number: usize| {
            let mut stream = bed.daemon.connect();
            let path = &paths[number % paths.len()];
            let method = if path.ends_with("wait") { "POST" } else { "GET" };
            stream.write_all(&Exchange::new(method, path).head()).unwrap();
            stream
        };
        let streams: Vec<_> = (0..count).map(open).collect();
        // Those that answer at once have, so that all are being served.
        for stream in streams.iter().step_by(paths.len()) {
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).unwrap();
            assert!(line.contains("200"), "{line}");
        }
        let begun = Instant::now();
        drop(bed.daemon.get("/_ping").expect(200));
        assert!(begun.elapsed() < Duration::from_secs(1), "a ping took {:?}", begun.elapsed());
        bed.memory()
    };
    let settled = |most: usize| {
        let end = Instant::now() + testkit::patience();
        while bed.descriptors() > most {
            assert!(Instant::now() < end, "{} of {most}", bed.descriptors());
        }
    };
    round(count);
    settled(60);
    let before = (bed.descriptors(), bed.memory());
    let seen: BTreeSet<u64> = (0..2).map(|_| round(count)).collect();
    settled(before.0 + 4);
    crate::say(&format!(
        "{count} followers: {before:?} before, {seen:?} kB with them, {} kB after",
        bed.memory()
    ));
    // What each had is kept for the next.
    assert!(
        bed.memory() < before.1 + (16 << 10) + 8 * count as u64,
        "{} kB before, then {}",
        before.1,
        bed.memory()
    );
}
