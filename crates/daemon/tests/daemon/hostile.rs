//! Requests that mean harm: rows C3 34, 35, 36, 38 and C8 98. Whatever comes, the daemon lives, answers a ping within a
//! second, and has no more descriptors and hardly more memory afterwards.

use serde_json::{Value, json};
use std::{
    fs,
    io::{BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};
use testkit::longshored::{Answer, Exchange, Longshored};

/// A daemon that is watched: what it had before must be what it has afterwards.
struct Watched {
    daemon: Longshored,
    pid: i32,
    descriptors: usize,
    memory: u64,
}

impl Watched {
    fn start() -> Self {
        let daemon = Longshored::start();
        ping(&daemon);
        let pid = daemon.pid();
        Self { pid, descriptors: descriptors(pid), memory: memory(pid), daemon }
    }

    /// Holds it to the outcome.
    fn end(self) {
        ping(&self.daemon);
        assert!(self.daemon.is_alive());
        let end = Instant::now() + testkit::patience();
        // Connections are closed when their tasks have run.
        while descriptors(self.pid) > self.descriptors + 4 {
            assert!(
                Instant::now() < end,
                "{} descriptors became {}",
                self.descriptors,
                descriptors(self.pid)
            );
            ping(&self.daemon);
        }
        let grown = memory(self.pid).saturating_sub(self.memory);
        assert!(grown < 64 << 10, "{} kB more", grown);
        assert!(!self.daemon.log().contains("panicked"), "{}", self.daemon.log());
    }
}

fn ping(daemon: &Longshored) {
    let begun = Instant::now();
    daemon.get("/_ping").expect(200);
    assert!(begun.elapsed() < Duration::from_secs(1), "a ping took {:?}", begun.elapsed());
}

fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("a process").count()
}

/// Resident kilobytes.
fn memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}

/// Sends bytes, and reads all that comes until the daemon closes.
fn exchange(daemon: &Longshored, bytes: &[u8]) -> String {
    let mut stream = daemon.connect();
    // It may have had enough before it has read everything.
    stream.write_all(bytes).ok();
    stream.shutdown(Shutdown::Write).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<u16> {
    let of = |(at, _): (usize, &str)| answer[at + 9..].get(..3)?.parse().ok();
    answer.match_indices("HTTP/1.1 ").filter_map(of).collect()
}

#[test]
fn c3_34_bodies_that_are_no_documents() {
    let watched = Watched::start();
    let daemon = &watched.daemon;
    let send = |content: &str, body: &[u8]| {
        let post = Exchange::new("POST", "/auth").header("Content-Type", content).body(body);
        daemon.send(&post)
    };
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for body in
        ["{", "{\"a\":", "x", "NaN", "{'a':1}", "{\"a\":\u{feff}}", "[1,2", &deep, "{\"username\":1}", "[]"]
    {
        let message = send("application/json", body.as_bytes()).expect(400).message();
        assert!(message.starts_with("invalid JSON: "), "{message}");
    }
    assert_eq!(send("application/json", b"{\"a\":\"\xff\"}").status, 400);
    assert_eq!(send("application/json", b"{} {}").expect(400).message(), "unexpected content after JSON");
    assert_eq!(
        send("application/json", b"  ").expect(400).message(),
        "invalid JSON: got EOF while reading request body"
    );
    for content in ["text/plain", "application/jsonx", "multipart/form-data", ";", "\u{e4}"] {
        let message = send(content, b"{}").expect(400).message();
        assert!(message.starts_with("unsupported Content-Type header ("), "{message}");
    }
    watched.end();
}

#[test]
fn c3_34_a_body_of_a_gibibyte_is_not_read() {
    let watched = Watched::start();
    let mut stream = watched.daemon.connect();
    let head = "POST /auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let piece = vec![b' '; 1 << 20];
    let mut sent = 0;
    while sent < 1024 && stream.write_all(&piece).is_ok() {
        sent += 1;
    }
    assert!(sent < 64, "{sent} MiB were taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || statuses(&answer) == [413], "{answer}");
    watched.end();
}

#[test]
fn c3_35_requests_that_readers_disagree_about() {
    let watched = Watched::start();
    let many: String = (0..100_000).map(|number| format!("X-{number}: y\r\n")).collect();
    let large = format!("X-Large: {}\r\n", "y".repeat(1 << 20));
    let extensions = format!("{};{}\r\n", 0, "x=y;".repeat(20_000));
    let chunked = "Transfer-Encoding: chunked\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let cases: &[(&str, String, &[u16])] = &[
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}x"), &[400]),
        (
            "length and chunks",
            post(&format!("Content-Length: 4\r\n{chunked}"), &format!("0\r\n\r\n{smuggled}")),
            &[400],
        ),
        ("a length below zero", post("Content-Length: -1\r\n", ""), &[400]),
        ("a length with a sign", post("Content-Length: +2\r\n", "{}"), &[400]),
        ("a length that is none", post("Content-Length: 0x2\r\n", "{}"), &[400]),
        ("a length beyond 64 bits", post("Content-Length: 99999999999999999999\r\n", "{}"), &[400]),
        ("chunks in other words", post("Transfer-Encoding: xchunked\r\n", smuggled), &[400]),
        ("chunks and then not", post("Transfer-Encoding: chunked, identity\r\n", smuggled), &[400]),
        ("a chunk of no number", post(chunked, "zz\r\n{}\r\n0\r\n\r\n"), &[400]),
        ("a chunk beyond 64 bits", post(chunked, "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"), &[400]),
        ("extensions without end", post(chunked, &extensions), &[400]),
        ("a folded header", "GET /_ping HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n".into(), &[400]),
        ("a space before the colon", "GET /_ping HTTP/1.1\r\nHost : x\r\n\r\n".into(), &[400]),
        ("a header of a mebibyte", format!("GET /_ping HTTP/1.1\r\n{large}\r\n"), &[431]),
        ("100,000 headers", format!("GET /_ping HTTP/1.1\r\n{many}\r\n"), &[431]),
        ("a zero in the path", "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n".into(), &[400]),
        ("a zero in a header", "GET /_ping HTTP/1.1\r\nHost: x\0\r\n\r\n".into(), &[400]),
        ("no version", "GET /_ping\r\n\r\n".into(), &[400]),
        ("version 9", "GET /_ping HTTP/9.9\r\n\r\n".into(), &[400]),
        ("HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), &[400]),
        ("TLS on a plain socket", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".into(), &[400]),
        (
            "a whole address",
            "GET http://other/_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".into(),
            &[200],
        ),
    ];
    for (what, bytes, expected) in cases {
        let answer = exchange(&watched.daemon, bytes.as_bytes());
        let found = statuses(&answer);
        // A connection that is closed without a word is as good as an error.
        assert!(found.is_empty() && *expected != [200] || found == *expected, "{what}: {answer}");
        assert!(!answer.contains("smuggled"), "{what}: {answer}");
        ping(&watched.daemon);
    }
    watched.end();
}

fn post(headers: &str, body: &str) -> String {
    let fixed = "POST /auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n";
    format!("{fixed}{headers}\r\n{body}")
}

#[test]
fn c3_35_requests_in_one_piece_are_answered_in_order() {
    let watched = Watched::start();
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let many = format!("{}{}{}", one("/_ping"), one("/nothing"), one("/_ping"));
    let mut stream = watched.daemon.connect();
    stream.write_all(many.as_bytes()).unwrap();
    let mut reader = BufReader::new(&mut stream);
    for status in [200, 404, 200] {
        Answer::read(&mut reader, "GET").expect("an answer").expect(status);
    }
    drop(stream);
    watched.end();
}

#[test]
fn c3_36_a_thousand_connections_that_trickle() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let watched = Watched::start();
    let mut slow: Vec<UnixStream> = (0..1000).map(|_| watched.daemon.connect()).collect();
    for round in ["GET /_ping HT", "TP/1.1\r\nHo", "st: x\r\nX-Slow: "] {
        for stream in &mut slow {
            stream.write_all(round.as_bytes()).unwrap();
        }
        ping(&watched.daemon);
    }
    let grown = memory(watched.pid).saturating_sub(watched.memory);
    assert!(grown < 64 * 1000, "{} kB for 1,000 connections", grown);
    drop(slow);
    watched.end();
}

#[test]
fn c3_38_ids_that_leave_their_place() {
    let watched = Watched::start();
    let long = "a".repeat(60_000);
    let full = "0".repeat(64);
    for id in [
        "..",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%2Fetc%2Fpasswd",
        &full,
        &long,
        "%20",
        "a%0Ab",
        "%E2%98%83",
    ] {
        for path in [
            format!("/containers/{id}/json"),
            format!("/images/{id}/json"),
            format!("/volumes/{id}"),
            format!("/networks/{id}"),
            format!("/exec/{id}/json"),
            format!("/plugins/{id}/json"),
        ] {
            let status = watched.daemon.get(&path).status;
            assert!([301, 400, 404, 414, 431, 501].contains(&status), "{status} for {path:.100}");
        }
    }
    watched.end();
}

#[test]
fn c8_98_no_descriptors_left() {
    let watched = Watched::start();
    let pid = rustix::process::Pid::from_raw(watched.pid).unwrap();
    let few = rustix::process::Rlimit {
        current: Some(watched.descriptors as u64 + 20),
        ..rustix::process::getrlimit(rustix::process::Resource::Nofile)
    };
    let before = rustix::process::prlimit(Some(pid), rustix::process::Resource::Nofile, few).unwrap();
    let held: Vec<UnixStream> = (0..100).map(|_| watched.daemon.connect()).collect();
    let end = Instant::now() + testkit::patience();
    while !watched.daemon.log().contains("cannot accept a connection") {
        assert!(Instant::now() < end, "it never runs out of descriptors");
        std::thread::yield_now();
    }
    drop(held);
    rustix::process::prlimit(Some(pid), rustix::process::Resource::Nofile, before).unwrap();
    watched.end();
}

/// What a field is given in place of what it should have.
fn mutations() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1.5),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("\u{0}\u{202e}\n../../etc"),
        json!("y".repeat(70_000)),
        json!([]),
        json!([null]),
        json!([{}]),
        json!({}),
        json!({"": null}),
        json!({"x": {"y": []}}),
    ]
}

/// The pointers of everything in a document.
fn pointers(document: &Value, prefix: &str, found: &mut Vec<String>) {
    found.push(prefix.to_owned());
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match document {
        Value::Object(fields) => {
            for (name, value) in fields {
                pointers(value, &format!("{prefix}/{}", escaped(name)), found);
            }
        }
        Value::Array(items) => {
            for (number, value) in items.iter().enumerate() {
                pointers(value, &format!("{prefix}/{number}"), found);
            }
        }
        _ => {}
    }
}

/// Puts each mutation in the place of each field. Whatever the answer is, it is no fault of the daemon's.
fn fuzz(daemon: &Longshored, path: &str, document: &Value) {
    let mut places = Vec::new();
    pointers(document, "", &mut places);
    let mut stream = daemon.connect();
    for place in &places {
        for mutation in mutations() {
            let mut changed = document.clone();
            *changed.pointer_mut(place).unwrap() = mutation;
            let request = Exchange::new("POST", path).json(&changed).header("Connection", "keep-alive");
            // `null` alone is sent too: it is a document.
            let request = if changed.is_null() {
                request.header("Content-Type", "application/json").body("null")
            } else {
                request
            };
            let mut bytes = request.head();
            bytes.extend_from_slice(request.bytes());
            stream.write_all(&bytes).unwrap();
            let answer = Answer::read(&mut BufReader::new(&mut stream), "POST");
            let answer = answer.unwrap_or_else(|error| panic!("{path} {place}: {error}\n{}", daemon.log()));
            let is_fine = answer.status < 500 || [501, 503].contains(&answer.status);
            assert!(is_fine, "{path} {place} {}: {} {}", changed, answer.status, answer.text());
            if answer.headers.get("connection").is_some_and(|value| value == "close") {
                stream = daemon.connect();
            }
        }
    }
    ping(daemon);
}

#[test]
fn c3_34_every_field_of_a_new_container() {
    let watched = Watched::start();
    fuzz(&watched.daemon, "/containers/create?name=fuzzed", &container());
    watched.end();
}

#[test]
fn c3_34_every_field_of_other_documents() {
    let watched = Watched::start();
    let documents = [
        (
            "/containers/nothing/update",
            json!({"Memory": 1, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}),
        ),
        (
            "/containers/nothing/exec",
            json!({"Cmd": ["a"], "Env": ["a=b"], "Tty": true, "ConsoleSize": [1, 2]}),
        ),
        ("/exec/nothing/start", json!({"Detach": true, "Tty": false, "ConsoleSize": [1, 2]})),
        ("/commit?container=nothing", json!({"Image": "x", "Cmd": ["a"], "Labels": {"a": "b"}})),
        (
            "/networks/create",
            json!({"Driver": 7, "Name": "x", "IPAM": {"Config": [{"Subnet": "x", "AuxiliaryAddresses": {"a": "b"}}]}, "Options": {"a": "b"}}),
        ),
        (
            "/networks/nothing/connect",
            json!({"Container": "x", "EndpointConfig": {"Aliases": ["a"], "IPAMConfig": {"IPv4Address": "x"}, "GwPriority": 1}}),
        ),
        ("/networks/nothing/disconnect", json!({"Container": "x", "Force": true})),
        (
            "/volumes/create",
            json!({"Name": "../x", "Driver": "nothing", "DriverOpts": {"a": "b"}, "Labels": {"a": "b"}}),
        ),
        ("/swarm/init", json!({"ListenAddr": "x"})),
        ("/plugins/x/set", json!(["a"])),
    ];
    for (path, document) in documents {
        fuzz(&watched.daemon, path, &document);
    }
    watched.end();
}

/// Every field that a container can be made with.
fn container() -> Value {
    json!({
        "Hostname": "h", "Domainname": "d", "User": "1:2", "AttachStdin": false, "AttachStdout": true,
        "AttachStderr": true, "ExposedPorts": {"80/tcp": {}}, "Tty": false, "OpenStdin": false, "StdinOnce": false,
        "Env": ["A=b"], "Cmd": ["true"], "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1, "Timeout": 1, "Retries": 1,
        "StartPeriod": 1, "StartInterval": 1}, "ArgsEscaped": false, "Image": "nothing:here", "Volumes": {"/v": {}},
        "WorkingDir": "/", "Entrypoint": ["sh"], "NetworkDisabled": false, "MacAddress": "02:42:ac:11:00:02",
        "OnBuild": ["x"], "Labels": {"a": "b"}, "StopSignal": "TERM", "StopTimeout": 1, "Shell": ["sh"],
        "HostConfig": {
            "Binds": ["/a:/b:ro"], "ContainerIDFile": "", "LogConfig": {"Type": "json-file", "Config": {"a": "b"}},
            "NetworkMode": "none", "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "1"}]},
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": false, "VolumeDriver": "",
            "VolumesFrom": ["x"], "ConsoleSize": [1, 2], "Annotations": {"a": "b"}, "CapAdd": ["X"], "CapDrop": ["X"],
            "CgroupnsMode": "", "Dns": ["1.1.1.1"], "DnsOptions": ["x"], "DnsSearch": ["x"], "ExtraHosts": ["a:1.1.1.1"],
            "GroupAdd": ["1"], "IpcMode": "", "Cgroup": "", "Links": ["a:b"], "OomScoreAdj": 0, "PidMode": "",
            "Privileged": false, "PublishAllPorts": false, "ReadonlyRootfs": false, "SecurityOpt": ["x"],
            "StorageOpt": {"a": "b"}, "Tmpfs": {"/t": ""}, "UTSMode": "", "UsernsMode": "", "ShmSize": 1,
            "Sysctls": {"a": "b"}, "Runtime": "", "Isolation": "", "CpuShares": 1, "Memory": 1, "NanoCpus": 1,
            "CgroupParent": "", "BlkioWeight": 1, "BlkioWeightDevice": [{"Path": "/x", "Weight": 1}],
            "BlkioDeviceReadBps": [{"Path": "/x", "Rate": 1}], "CpuPeriod": 1, "CpuQuota": 1, "CpuRealtimePeriod": 1,
            "CpuRealtimeRuntime": 1, "CpusetCpus": "0", "CpusetMems": "0",
            "Devices": [{"PathOnHost": "/x", "PathInContainer": "/x", "CgroupPermissions": "r"}],
            "DeviceCgroupRules": ["c 1:1 r"], "DeviceRequests": [{"Driver": "x", "Count": 1, "DeviceIDs": ["x"],
            "Capabilities": [["x"]], "Options": {"a": "b"}}], "MemoryReservation": 1, "MemorySwap": 1,
            "MemorySwappiness": 1, "OomKillDisable": false, "PidsLimit": 1, "Ulimits": [{"Name": "x", "Hard": 1, "Soft": 1}],
            "CpuCount": 1, "CpuPercent": 1, "IOMaximumIOps": 1, "IOMaximumBandwidth": 1,
            "Mounts": [{"Type": "bind", "Source": "/x", "Target": "/y", "ReadOnly": true, "Consistency": "",
            "BindOptions": {"Propagation": "rprivate", "NonRecursive": true}, "VolumeOptions": {"NoCopy": true,
            "Labels": {"a": "b"}, "DriverConfig": {"Name": "x", "Options": {"a": "b"}}, "Subpath": "x"},
            "ImageOptions": {"Subpath": "x"}, "TmpfsOptions": {"SizeBytes": 1, "Mode": 1, "Options": [["a"]]}}],
            "MaskedPaths": ["/x"], "ReadonlyPaths": ["/x"], "Init": true
        },
        "NetworkingConfig": {"EndpointsConfig": {"none": {"IPAMConfig": {"IPv4Address": "x", "IPv6Address": "x",
            "LinkLocalIPs": ["x"]}, "Links": ["x"], "Aliases": ["x"], "MacAddress": "x", "DriverOpts": {"a": "b"},
            "GwPriority": 1, "NetworkID": "x", "DNSNames": ["x"]}}}
    })
}
