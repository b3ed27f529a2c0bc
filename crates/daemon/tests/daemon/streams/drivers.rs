//! Log drivers that send output away, against collectors on loopback.

use std::{
    io::{Read, Write},
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixListener,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Instant,
};

use serde_json::{Value, json};

use super::bed::Bed;

/// What collectors heard, connection by connection.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<(Mutex<Vec<Vec<u8>>>, Condvar)>);

impl Heard {
    fn begin(&self) -> usize {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Vec::new());
        all.len() - 1
    }

    fn add(&self, connection: usize, bytes: &[u8]) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        all[connection].extend_from_slice(bytes);
        self.0.1.notify_all();
    }

    /// Takes what comes on a connection until its end.
    fn take(&self, mut stream: impl Read) {
        let connection = self.begin();
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            self.add(connection, &buffer[..length]);
        }
    }

    fn all(&self) -> Vec<Vec<u8>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whole lines, of all connections in their order.
    fn lines(&self) -> Vec<String> {
        let whole = |bytes: Vec<u8>| {
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            String::from_utf8_lossy(&bytes[..end]).lines().map(str::to_owned).collect::<Vec<_>>()
        };
        self.all().into_iter().flat_map(whole).collect()
    }

    fn wait_for(&self, bed: &Bed, text: &[u8]) {
        let end = Instant::now() + testkit::patience();
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !all.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text)) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {:?}\n{}", String::from_utf8_lossy(text), bed.daemon.log());
            all = self.0.1.wait_timeout(all, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Listens on TCP, for connections one after the other.
fn tcp() -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = Heard::default();
    let ours = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let ours = ours.clone();
            std::thread::spawn(move || ours.take(stream));
        }
    });
    (address, heard)
}

fn logged(kind: &str, options: &[(&str, &str)]) -> Value {
    let options: Value = options.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    json!({ "HostConfig": { "LogConfig": { "Type": kind, "Config": options } } })
}

#[test]
fn syslog_gets_every_line_though_the_daemon_is_killed_meanwhile() {
    let mut bed = Bed::new();
    let (address, heard) = tcp();
    let address = format!("tcp://{address}");
    let options = [("syslog-address", address.as_str()), ("tag", "{{.Name}}"), ("syslog-format", "rfc3164")];
    let mut more = logged("syslog", &options);
    let shared = bed.daemon.dir().join("shared");
    std::fs::create_dir(&shared).unwrap();
    more["HostConfig"]["Binds"] = json!([format!("{}:/shared", shared.display())]);
    let script = "seq 1 20000; while [ ! -e /shared/go ]; do sleep 0.1; done; seq 20001 40000; echo last >&2";
    let id = bed.run(&["sh", "-c", script], &more);
    let name = bed.inspect(&id)["Name"].as_str().unwrap().trim_start_matches('/').to_owned();
    heard.wait_for(&bed, b"]: 7\n");
    bed.daemon.kill();
    // From here on it writes while nobody is there to send it.
    std::fs::write(shared.join("go"), "").unwrap();
    bed.daemon.start_again();
    heard.wait_for(&bed, b"]: last\n");
    let lines = heard.lines();
    let last = lines.iter().find(|line| line.ends_with(": last")).unwrap();
    assert!(last.starts_with("<27>") && last.contains(&format!(" {name}[")), "{last}");
    let mut next = 1;
    for number in lines.iter().filter_map(|line| line.rsplit_once("]: ")?.1.parse::<u32>().ok()) {
        // What was sent before the daemon was killed may come again; nothing is left out.
        assert!(number <= next, "{number} instead of {next}");
        next = next.max(number + 1);
    }
    assert_eq!(next, 40001);
    bed.wait(&id);
    assert_eq!(bed.text(&id, "tail=1"), "last\n");
}

#[test]
fn gelf_comes_in_datagrams_with_what_the_options_name() {
    let bed = Bed::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(testkit::patience())).unwrap();
    let address = format!("udp://{}", socket.local_addr().unwrap());
    let options = [("gelf-address", address.as_str()), ("gelf-compression-type", "none"), ("labels", "tier")];
    let mut more = logged("gelf", &options);
    more["Labels"] = json!({ "tier": "front" });
    let id = bed.run(&["sh", "-c", "echo one; echo two >&2"], &more);
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let mut datagram = [0; 2048];
        let length = socket.recv(&mut datagram).unwrap();
        heard.push(serde_json::from_slice::<Value>(&datagram[..length]).unwrap());
    }
    heard.sort_by_key(|message| message["short_message"].to_string());
    assert_eq!(heard[0]["short_message"], "one");
    assert_eq!((&heard[0]["level"], &heard[1]["level"]), (&json!(6), &json!(3)));
    assert_eq!((&heard[0]["_container_id"], &heard[0]["_tier"]), (&json!(id), &json!("front")));
    assert_eq!(heard[0]["_command"], "sh -c echo one; echo two >&2");
    bed.wait(&id);
}

#[test]
fn fluentd_has_all_before_a_container_is_removed_at_its_end() {
    let bed = Bed::new();
    let path = bed.daemon.dir().join("fluentd.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let heard = Heard::default();
    let ours = heard.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let connection = ours.begin();
            let mut rest = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                ours.add(connection, &buffer[..length]);
                rest.extend_from_slice(&buffer[..length]);
                // A message ends in its chunk's name, which is the answer.
                const CHUNK: &[u8] = b"\xa5chunk\xd9\x20";
                while let Some(at) = rest.windows(CHUNK.len()).position(|window| window == CHUNK) {
                    let start = at + CHUNK.len();
                    let Some(id) = rest.get(start..start + 32) else { break };
                    let answer = [b"\x81\xa3ack\xd9\x20", id].concat();
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                    rest.drain(..start + 32);
                }
            }
        }
    });
    let address = format!("unix://{}", path.display());
    let options = [("fluentd-address", address.as_str()), ("fluentd-request-ack", "true")];
    let mut more = logged("fluentd", &options);
    more["HostConfig"]["AutoRemove"] = true.into();
    let id = bed.run(&["sh", "-c", "seq 1 3000; printf '%020000d\\n' 7"], &more);
    let gone = bed.daemon.post(&format!("/containers/{id}/wait?condition=removed"), &Value::Null);
    assert!(matches!(gone.status, 200 | 404), "{gone:?}");
    let all = heard.all().concat();
    let has = |bytes: &[u8]| all.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(b"\xa3log\xa43000"), "{}", bed.daemon.log());
    // A line that is too long for a record comes in parts.
    assert!(has(b"\xacpartial_last\xa4true") && has(b"\xafpartial_ordinal\xa12"));
    assert!(has(&[b"\xaccontainer_id\xd9\x40", id.as_bytes()].concat()));
}

#[test]
fn who_does_not_listen_is_named_at_the_start_and_later_holds_nobody_up() {
    let bed = Bed::new();
    // Nobody listens on a port that has just been given back.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tcp = format!("tcp://{address}");
    let id = bed.create(&["true"], &logged("syslog", &[("syslog-address", &tcp)]));
    let refused = bed.daemon.post(&format!("/containers/{id}/start"), &Value::Null);
    let expected =
        format!("failed to initialize logging driver: dial tcp {address}: connect: connection refused");
    assert_eq!((refused.status, refused.message()), (500, expected));
    // More than the pipes, the kernel and the daemon could hold.
    let options = [("fluentd-address", tcp.as_str()), ("fluentd-async", "true")];
    let before = bed.memory();
    let script = format!("yes {} | head -n 60000; echo end", "x".repeat(1000));
    let id = bed.run(&["sh", "-c", &script], &logged("fluentd", &options));
    assert_eq!(bed.wait(&id), 0);
    assert_eq!(bed.text(&id, "tail=1"), "end\n");
    let grown = bed.memory().saturating_sub(before);
    assert!(grown < 24 << 10, "{grown} kB more");
}

#[test]
fn options_of_drivers_are_checked_in_docker_s_words() {
    let bed = Bed::new();
    for (kind, options, message) in [
        ("gelf", &[][..], "gelf-address is a required parameter"),
        ("syslog", &[("syslog-facility", "x")], "invalid syslog facility"),
        ("journald", &[("x", "y")], "unknown log opt 'x' for journald log driver"),
        ("fluentd", &[("fluentd-address", "unix://")], "invalid fluentd-address (unix://): path is empty"),
    ] {
        let mut document = logged(kind, options);
        (document["Image"], document["Cmd"]) = (json!("busybox"), json!(["true"]));
        let refused = bed.daemon.post("/containers/create", &document);
        assert_eq!((refused.status, refused.message().as_str()), (400, message));
    }
    let (address, heard) = tcp();
    let address = format!("tcp://{address}");
    let options = [("gelf-address", address.as_str()), ("cache-disabled", "true")];
    let id = bed.run(&["echo", "x"], &logged("gelf", &options));
    heard.wait_for(&bed, b"\"short_message\":\"x\"");
    bed.wait(&id);
    let refused = bed.logs(&id, "stdout=1");
    assert_eq!(refused.message(), "configured logging driver does not support reading");
}
