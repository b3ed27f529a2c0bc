//! What containers use up: rows C8 94, 95, 98, 99, 100 and 103. The daemon answers a ping within a second all the
//! while, others go on, and nothing is left over.

use std::{
    fs,
    io::Read,
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use longshore_network::namespace::Namespace;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde_json::{Value, json};
use testkit::longshored::Exchange;

use crate::streams::bed::Bed;

fn ping(bed: &Bed) {
    let begun = Instant::now();
    drop(bed.daemon.get("/_ping").expect(200));
    assert!(begun.elapsed() < Duration::from_secs(1), "a ping took {:?}", begun.elapsed());
}

/// How many, unless a soak says.
fn count(usual: usize) -> usize {
    std::env::var("LONGSHORE_CONTAINERS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn limited(more: &Value) -> Value {
    let mut host = json!({ "NetworkMode": "none" });
    host.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "HostConfig": host })
}

#[test]
fn c8_94_bombs_of_processes_stay_within_their_limit() {
    let bed = Bed::new();
    let bombs: Vec<String> =
        (0..4).map(|_| bed.run(&["sleep", "1000"], &limited(&json!({ "PidsLimit": 40 })))).collect();
    // Those that double die as quickly; those that sleep stay.
    let (doubling, sleeping) = bombs.split_at(2);
    for (bombs, script) in [(doubling, "f() { f | f & }; f"), (sleeping, "while sleep 1000 & do :; done")] {
        for id in bombs {
            let exec = bed.exec(id, &["sh", "-c", script], &Value::Null);
            drop(bed.daemon.post(&format!("/exec/{exec}/start"), &json!({ "Detach": true })).expect(200));
        }
    }
    for id in sleeping {
        let end = Instant::now() + testkit::patience();
        // Whoever cannot have one more gives up.
        while testkit::cgroups::value("pids", &format!("/longshore/{id}"), "pids.current")
            .parse::<u32>()
            .unwrap_or(0)
            < 38
        {
            assert!(Instant::now() < end, "it never comes to its limit");
            ping(&bed);
        }
    }
    for id in &bombs {
        ping(&bed);
        drop(bed.daemon.delete(&format!("/containers/{id}?force=1")).expect(204));
    }
    assert_eq!(fs::read_dir(bed.daemon.dir().join("exec/containers")).unwrap().count(), 0);
}

const HOG: &str = "x=aaaaaaaa; while :; do x=$x$x; done";

#[test]
fn c8_95_a_container_that_is_out_of_memory_says_so() {
    let bed = Bed::new();
    let little = limited(&json!({ "Memory": 16 << 20, "MemorySwap": 16 << 20 }));
    let id = bed.run(&["sh", "-c", HOG], &little);
    assert_eq!(bed.wait(&id), 137);
    let state = &bed.inspect(&id)["State"];
    assert_eq!((&state["OOMKilled"], &state["Status"]), (&json!(true), &json!("exited")));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let filter = format!("%7B%22event%22%3A%5B%22oom%22%5D%2C%22container%22%3A%5B%22{id}%22%5D%7D");
    let until = now.as_secs() + 2;
    let events =
        bed.daemon.get(&format!("/events?since=1&until={until}&filters={filter}")).expect(200).text();
    assert!(events.contains("\"oom\""), "{events}");
    // In an exec: that ends, and its container goes on.
    let id = bed.run(&["sleep", "1000"], &little);
    let exec = bed.exec(&id, &["sh", "-c", HOG], &Value::Null);
    assert_eq!(bed.exec_start(&exec).2, 137);
    let state = &bed.inspect(&id)["State"];
    assert_eq!(state["Running"], true, "{state}");
    ping(&bed);
}

/// Its own limit, changed while it runs; returns what it was.
fn limit(pid: i32, most: Option<u64>) -> Rlimit {
    let pid = Pid::from_raw(pid);
    let new = Rlimit { current: most, ..rustix::process::getrlimit(Resource::Nofile) };
    rustix::process::prlimit(pid, Resource::Nofile, new).unwrap()
}

#[test]
fn c8_98_starts_without_descriptors_fail_and_leave_nothing() {
    let bed = Bed::new();
    // Whatever is opened once is open.
    let first = bed.run(&["sleep", "1000"], &Value::Null);
    let before = bed.descriptors();
    let usual = limit(bed.daemon.pid(), Some(before as u64 + 12));
    let mut failed = 0;
    let mut made = Vec::new();
    while failed == 0 {
        let body =
            json!({ "Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "none" } });
        let created = bed.daemon.post("/containers/create", &body);
        let started = (created.status == 201).then(|| {
            let id = created.json()["Id"].as_str().unwrap().to_owned();
            let started = bed.daemon.post(&format!("/containers/{id}/start"), &Value::Null);
            made.push(id);
            started
        });
        let last = started.unwrap_or(created);
        if ![201, 204].contains(&last.status) {
            failed += 1;
            let words = ["Too many open files", "file descriptors"];
            assert!(words.iter().any(|words| last.message().contains(words)), "{}", last.text());
        }
        assert!(made.len() < 200, "it never runs out of descriptors");
    }
    limit(bed.daemon.pid(), usual.current);
    ping(&bed);
    for id in &made {
        drop(bed.daemon.delete(&format!("/containers/{id}?force=1")).expect(204));
    }
    assert_eq!(bed.inspect(&first)["State"]["Running"], true);
    for place in ["data/containers", "exec/containers", "data/snapshots"] {
        assert_eq!(fs::read_dir(bed.daemon.dir().join(place)).unwrap().count(), 1, "{place}");
    }
    let end = Instant::now() + testkit::patience();
    while bed.descriptors() > before + 2 {
        assert!(Instant::now() < end, "{before} descriptors became {}", bed.descriptors());
    }
}

/// With fewer than the row says: `LONGSHORE_CONTAINERS=1000` is a soak. All are found again by the next daemon, soon.
#[test]
fn c8_99_many_containers() {
    let mut bed = Bed::new();
    let count = count(25);
    let ids: Vec<String> = (0..count).map(|_| bed.run(&["sleep", "1000"], &Value::Null)).collect();
    ping(&bed);
    bed.daemon.kill();
    let begun = Instant::now();
    bed.daemon.start_again();
    let ready = begun.elapsed();
    crate::say(&format!("ready with {count} running containers after {ready:?}"));
    assert!(ready < Duration::from_secs(5), "{ready:?}");
    let running = bed.daemon.get("/containers/json").expect(200).json();
    assert_eq!(running.as_array().unwrap().len(), count);
    std::thread::scope(|scope| {
        for part in ids.chunks(count.div_ceil(4)) {
            let bed = &bed;
            scope.spawn(move || {
                for id in part {
                    drop(bed.daemon.post(&format!("/containers/{id}/kill"), &Value::Null).expect(204));
                    drop(bed.daemon.delete(&format!("/containers/{id}")).expect(204));
                }
            });
        }
        ping(&bed);
    });
    for place in ["data/containers", "exec/containers", "data/snapshots"] {
        assert_eq!(fs::read_dir(bed.daemon.dir().join(place)).unwrap().count(), 0, "{place}");
    }
    let usage = bed.daemon.get("/system/df").expect(200).json();
    assert_eq!(usage["Ledger"]["Unaccounted"], 0, "{usage:#}");
    for hierarchy in testkit::cgroups::hierarchies() {
        let left = ids.iter().filter(|id| hierarchy.join("longshore").join(id).exists()).count();
        assert_eq!(left, 0, "{}", hierarchy.display());
    }
}

/// Addresses and ports that are all taken are an error that says so, and are given again.
#[test]
fn c8_100_addresses_and_ports_run_out() {
    let (host, _) = Namespace::create().unwrap();
    let test = || {
        let bed = Bed::new();
        let subnet = json!({ "Config": [{ "Subnet": "10.91.7.0/29" }] });
        drop(bed.daemon.post("/networks/create", &json!({ "Name": "small", "IPAM": subnet })).expect(201));
        let attached = json!({ "HostConfig": { "NetworkMode": "small" } });
        let taken: Vec<String> = (0..5).map(|_| bed.run(&["sleep", "1000"], &attached)).collect();
        let one_more = bed.create(&["sleep", "1000"], &attached);
        let start = |id: &str| bed.daemon.post(&format!("/containers/{id}/start"), &Value::Null);
        let refused = start(&one_more);
        assert!(refused.status >= 400 && refused.message().contains("no available"), "{}", refused.text());
        drop(bed.daemon.delete(&format!("/containers/{}?force=1", taken[0])).expect(204));
        drop(start(&one_more).expect(204));
        let ports = json!({ "ExposedPorts": { "80/tcp": {} }, "HostConfig": { "NetworkMode": "bridge",
            "PortBindings": { "80/tcp": [{ "HostPort": "8080-8081" }] } } });
        let both = [bed.run(&["sleep", "1000"], &ports), bed.run(&["sleep", "1000"], &ports)];
        let third = bed.create(&["sleep", "1000"], &ports);
        let refused = start(&third);
        assert!(refused.status >= 400 && refused.message().contains("port"), "{}", refused.text());
        drop(bed.daemon.delete(&format!("/containers/{}?force=1", both[1])).expect(204));
        drop(start(&third).expect(204));
        ping(&bed);
    };
    host.enter(test).unwrap();
}

/// A file system whose server never answers. Who looks at it stands still until it is dropped.
struct DeadFileSystem {
    at: std::path::PathBuf,
    server: Option<fs::File>,
}

impl DeadFileSystem {
    fn mount(at: &std::path::Path) -> Self {
        fs::create_dir(at).unwrap();
        let server = fs::File::options().read(true).write(true).open("/dev/fuse").expect("FUSE");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", server.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        rustix::mount::mount("dead", at, "fuse", rustix::mount::MountFlags::empty(), options.as_c_str())
            .unwrap();
        Self { at: at.to_owned(), server: Some(server) }
    }

    /// Waits until somebody asks it something.
    fn wait_for_a_question(&mut self) {
        // The first one is the kernel's own.
        let mut piece = vec![0; 1 << 17];
        let server = self.server.as_mut().unwrap();
        let length = server.read(&mut piece).unwrap();
        assert!(length > 0);
    }
}

impl Drop for DeadFileSystem {
    fn drop(&mut self) {
        // Whoever waits for an answer gets an error now.
        drop(self.server.take());
        rustix::mount::unmount(&self.at, rustix::mount::UnmountFlags::DETACH).ok();
    }
}

#[test]
fn c8_103_a_dead_file_system_holds_up_nobody_else() {
    let bed = Bed::new();
    let other = bed.run(&["sleep", "1000"], &Value::Null);
    let mut dead = DeadFileSystem::mount(&bed.daemon.dir().join("dead"));
    let bind = format!("{}/part:/part", dead.at.display());
    let stuck = bed.create(&["sleep", "1000"], &json!({ "HostConfig": { "Binds": [bind] } }));
    let start = Exchange::new("POST", &format!("/containers/{stuck}/start"));
    let socket = bed.daemon.socket();
    let starting = std::thread::spawn(move || start.send(&socket));
    dead.wait_for_a_question();
    for _ in 0..20 {
        ping(&bed);
        drop(bed.daemon.get("/containers/json?all=1").expect(200));
    }
    let more = bed.run(&["sleep", "1000"], &Value::Null);
    for id in [&other, &more] {
        drop(bed.daemon.delete(&format!("/containers/{id}?force=1")).expect(204));
    }
    ping(&bed);
    drop(dead);
    let started = starting.join().unwrap().unwrap();
    // What is below by now is another file system.
    assert!(started.status == 204 || started.status >= 400, "{}", started.text());
    drop(bed.daemon.delete(&format!("/containers/{stuck}?force=1")).expect(204));
}

/// 1 GB and more in all: neither the daemon nor the monitor grows, with somebody who follows and somebody who does not
/// read. `LONGSHORE_FLOOD` says how many MB.
#[test]
fn c8_96_a_flood_grows_nobody() {
    let bed = Bed::new();
    let megabytes: usize =
        std::env::var("LONGSHORE_FLOOD").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let script =
        format!("yes 0123456789012345678901234567890123456789 | head -c {megabytes}000000; echo; echo end");
    let id = bed.create(&["sh", "-c", &script], &Value::Null);
    let before = bed.memory();
    let mut idle = bed.daemon.connect();
    let follow = Exchange::new("GET", &format!("/containers/{id}/logs?stdout=1&follow=1"));
    std::io::Write::write_all(&mut idle, &follow.head()).unwrap();
    let begun = Instant::now();
    bed.start(&id);
    let init = bed.inspect(&id)["State"]["Pid"].clone();
    let status = fs::read_to_string(format!("/proc/{init}/status")).unwrap_or_default();
    let monitor =
        status.lines().find_map(|line| line.strip_prefix("PPid:")).map(|text| text.trim().to_owned());
    let most = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or(" 0 kB");
        line.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
    };
    let mut highest = 0;
    while bed.inspect(&id)["State"]["Running"] == true {
        ping(&bed);
        highest = monitor.as_deref().map_or(0, most).max(highest);
    }
    crate::say(&format!("{megabytes} MB in {:?}, the monitor's most: {highest} kB", begun.elapsed()));
    assert!(highest < 24 << 10, "the monitor had {highest} kB");
    assert!(bed.memory() < before + (32 << 10), "{before} kB, then {}", bed.memory());
    assert!(bed.text(&id, "tail=1").ends_with("end\n"));
    rustix::process::kill_process(Pid::from_raw(bed.daemon.pid()).unwrap(), Signal::USR1).unwrap();
    drop(idle);
}
