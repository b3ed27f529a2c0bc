//! What runs goes on without the daemon, and is found again.

use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal};
use serde_json::{Value, json};

use crate::streams::bed::Bed;

fn handle(pid: i64) -> OwnedFd {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

/// Waits for a process's end.
fn end(handle: &OwnedFd) {
    let mut polled = [rustix::event::PollFd::new(handle, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut polled, Some(&limit)), Ok(1), "it lives on");
}

fn pid(bed: &Bed, id: &str) -> i64 {
    bed.inspect(id)["State"]["Pid"].as_i64().unwrap()
}

#[test]
fn containers_go_on_while_the_daemon_is_killed_and_their_ends_are_noted() {
    let mut bed = Bed::new();
    let stays = bed.run(&["sleep", "1000"], &Value::Null);
    let ends = bed.run(&["sh", "-c", "trap 'exit 9' TERM; echo ready; sleep 1000 & wait"], &Value::Null);
    let (staying, ending) = (pid(&bed, &stays), handle(pid(&bed, &ends)));
    // The trap is set once this is in the log.
    while !bed.text(&ends, "").contains("ready") {}
    bed.daemon.kill();
    rustix::process::pidfd_send_signal(&ending, Signal::TERM).unwrap();
    end(&ending);
    bed.daemon.start_again();
    let state = &bed.inspect(&ends)["State"];
    assert_eq!((&state["Status"], &state["ExitCode"]), (&json!("exited"), &json!(9)));
    assert_eq!(pid(&bed, &stays), staying);
    bed.daemon.post(&format!("/containers/{stays}/kill"), &Value::Null).expect(204);
    assert_eq!(bed.inspect(&stays)["State"]["ExitCode"], 137);
    bed.daemon.post(&format!("/containers/{ends}/start"), &Value::Null).expect(204);
    assert_eq!(bed.inspect(&ends)["State"]["Running"], true);
}

#[test]
fn a_killed_monitor_takes_its_container_with_it() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &Value::Null);
    let init = pid(&bed, &id);
    let status = std::fs::read_to_string(format!("/proc/{init}/status")).unwrap();
    let monitor = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    let init = handle(init);
    rustix::process::pidfd_send_signal(handle(monitor), Signal::KILL).unwrap();
    assert_eq!(bed.wait(&id), 137);
    end(&init);
    let state = &bed.inspect(&id)["State"];
    assert_eq!(state["Status"], "exited");
    assert!(state["Error"].as_str().unwrap().contains("monitor"), "{state}");
    bed.start(&id);
    assert_eq!(bed.inspect(&id)["State"]["Running"], true);
}

#[test]
fn nothing_is_left_of_what_was_half_done_when_the_daemon_was_killed() {
    let mut bed = Bed::new();
    for round in 0..5 {
        let socket = bed.daemon.socket();
        let busy = std::thread::spawn(move || {
            let send = |method: &str, path: &str, body: &Value| {
                testkit::longshored::Exchange::new(method, path).json(body).send(&socket)
            };
            let body =
                json!({ "Image": "busybox", "Cmd": ["true"], "HostConfig": { "NetworkMode": "none" } });
            for number in 0.. {
                let name = format!("c{round}-{number}");
                let done = send("POST", &format!("/containers/create?name={name}"), &body).is_ok()
                    && send("POST", &format!("/containers/{name}/start"), &Value::Null).is_ok()
                    && send("DELETE", &format!("/containers/{name}?force=1"), &Value::Null).is_ok();
                if !done {
                    return number;
                }
            }
            0
        });
        // Some other time in each round.
        let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 + round * 7_300_000 };
        rustix::event::poll(&mut [], Some(&pause)).unwrap();
        bed.daemon.kill();
        busy.join().unwrap();
        bed.daemon.start_again();
        let listed = bed.daemon.get("/containers/json?all=1").expect(200).json();
        for one in listed.as_array().unwrap() {
            let answer = bed.daemon.delete(&format!("/containers/{}?force=1", one["Id"].as_str().unwrap()));
            assert!(matches!(answer.status, 204 | 404 | 409), "{answer:?}");
        }
        // A removal that was begun goes on by itself.
        while bed.daemon.get("/containers/json?all=1").expect(200).json() != json!([]) {}
        for place in ["data/containers", "exec/containers", "data/snapshots"] {
            let left: Vec<_> = std::fs::read_dir(bed.daemon.dir().join(place)).unwrap().flatten().collect();
            assert!(left.is_empty(), "{place}: {left:?}\n{}", bed.daemon.log());
        }
    }
}
