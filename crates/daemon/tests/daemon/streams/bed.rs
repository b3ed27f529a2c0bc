use std::{
    io::{BufReader, Read, Write},
    os::unix::{fs::symlink, net::UnixStream},
};

use longshore_image::{Images, ImportOptions};
use longshore_registry::Client;
use longshore_store::Store;
use longshore_types::progress::Silent;
use serde_json::{Value, json};
use testkit::longshored::{Answer, Exchange, Longshored};

const APPLETS: [&str; 17] = [
    "cat", "dd", "echo", "env", "false", "head", "id", "kill", "pwd", "rm", "seq", "sh", "sleep", "stty",
    "touch", "true", "yes",
];

/// A daemon with an image of busybox.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) daemon: Longshored,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::of(Longshored::prepare(&[]))
    }

    /// One whose daemon has more flags.
    pub(crate) fn with(args: &[&str]) -> Self {
        Self::of(Longshored::prepare(args))
    }

    /// One with a daemon that has not been started.
    pub(crate) fn of(mut daemon: Longshored) -> Self {
        import(&daemon);
        daemon.start_again();
        Self { daemon }
    }

    /// Makes a container, and returns its ID.
    pub(crate) fn create(&self, command: &[&str], more: &Value) -> String {
        let mut document = json!({
            "Image": "busybox", "Cmd": command, "HostConfig": { "NetworkMode": "none" },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            if let (Some(known), Some(value)) = (document[key].as_object_mut(), value.as_object()) {
                known.extend(value.clone());
            } else {
                document[key] = value.clone();
            }
        }
        let made = self.daemon.post("/containers/create", &document).expect(201);
        made.json()["Id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn start(&self, id: &str) {
        drop(self.daemon.post(&format!("/containers/{id}/start"), &Value::Null).expect(204));
    }

    pub(crate) fn run(&self, command: &[&str], more: &Value) -> String {
        let id = self.create(command, more);
        self.start(&id);
        id
    }

    /// Waits for a container's end; returns its exit code.
    pub(crate) fn wait(&self, id: &str) -> i64 {
        let path = format!("/containers/{id}/wait");
        self.daemon.post(&path, &Value::Null).expect(200).json()["StatusCode"].as_i64().unwrap()
    }

    pub(crate) fn inspect(&self, id: &str) -> Value {
        self.daemon.get(&format!("/containers/{id}/json")).expect(200).json()
    }

    pub(crate) fn logs(&self, id: &str, query: &str) -> Answer {
        self.daemon.get(&format!("/containers/{id}/logs?{query}"))
    }

    /// The text of a log, both streams.
    pub(crate) fn text(&self, id: &str, query: &str) -> String {
        let answer = self.logs(id, &format!("stdout=1&stderr=1&{query}")).expect(200);
        let (stdout, stderr) = frames(&answer.body);
        stdout + &stderr
    }

    /// A connection that has become a stream.
    pub(crate) fn hijack(&self, path: &str, document: &Value) -> Hijacked {
        let mut stream = self.daemon.connect();
        let exchange = Exchange::new("POST", path).header("Connection", "Upgrade").header("Upgrade", "tcp");
        let body = if document.is_null() { String::new() } else { document.to_string() };
        let exchange = exchange.json(document);
        stream.write_all(&exchange.head()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let answer = Answer::read(&mut reader, "POST").unwrap();
        assert_eq!(answer.status, 101, "{answer:?}\n{}", self.daemon.log());
        Hijacked { stream, reader, media: answer.headers["content-type"].clone() }
    }

    /// Makes an exec, and returns its ID.
    pub(crate) fn exec(&self, id: &str, command: &[&str], more: &Value) -> String {
        let mut document = json!({ "Cmd": command, "AttachStdout": true, "AttachStderr": true });
        for (key, value) in more.as_object().into_iter().flatten() {
            document[key] = value.clone();
        }
        let made = self.daemon.post(&format!("/containers/{id}/exec"), &document).expect(201);
        made.json()["Id"].as_str().unwrap().to_owned()
    }

    /// Starts an exec; returns what it wrote, and its exit code.
    pub(crate) fn exec_start(&self, exec: &str) -> (String, String, Value) {
        let mut hijacked = self.hijack(&format!("/exec/{exec}/start"), &json!({}));
        let (stdout, stderr) = frames(&hijacked.rest());
        (
            stdout,
            stderr,
            self.daemon.get(&format!("/exec/{exec}/json")).expect(200).json()["ExitCode"].clone(),
        )
    }

    /// The files that the daemon has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.daemon.pid())).unwrap().count()
    }

    /// The memory that the daemon has, in kB.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.daemon.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// The client's side of a stream.
#[derive(Debug)]
pub(crate) struct Hijacked {
    pub(crate) stream: UnixStream,
    reader: BufReader<UnixStream>,
    pub(crate) media: String,
}

impl Hijacked {
    /// Everything until the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.reader.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// What comes until `text` was in it.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(text) {
            let mut piece = [0; 4096];
            let length = self.reader.read(&mut piece).unwrap();
            assert!(length > 0, "the end after {:?}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// Ends the input.
    pub(crate) fn end(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

/// Takes frames apart: what went to standard output, and to standard error.
pub(crate) fn frames(mut bytes: &[u8]) -> (String, String) {
    let mut streams = [Vec::new(), Vec::new()];
    while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        assert!(matches!(header[..4], [1 | 2, 0, 0, 0]), "{header:?}");
        let (text, after) = rest.split_at(length);
        streams[usize::from(header[0]) - 1].extend_from_slice(text);
        bytes = after;
    }
    assert!(bytes.is_empty(), "{bytes:?}");
    let [stdout, stderr] = streams.map(|stream| String::from_utf8_lossy(&stream).into_owned());
    (stdout, stderr)
}

/// Puts the image `busybox` into the store of a daemon that has not been started.
fn import(daemon: &Longshored) {
    let tree = daemon.dir().join("tree");
    for directory in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        std::fs::create_dir_all(tree.join(directory)).unwrap();
    }
    std::fs::copy("/bin/busybox", tree.join("bin/busybox")).expect("package busybox-static");
    for applet in APPLETS {
        symlink("busybox", tree.join("bin").join(applet)).unwrap();
    }
    std::fs::write(tree.join("etc/passwd"), "root:x:0:0::/:\nann:x:1000:100::/:\n").unwrap();
    std::fs::write(tree.join("etc/group"), "root:x:0:\nwheel:x:10:ann\n").unwrap();
    let archive = daemon.dir().join("tree.tar");
    let mut tar = std::process::Command::new("tar");
    let packed = tar.arg("-C").arg(&tree).arg("-cf").arg(&archive).arg(".").status().unwrap();
    assert!(packed.success());
    let (store, _) = Store::open(daemon.dir().join("data"), longshore_store::Options::default()).unwrap();
    let client = Client::new(longshore_registry::Config::default()).unwrap();
    let images = Images::new(store, client, longshore_image::Settings::default());
    let options =
        ImportOptions { repository: "busybox".into(), tag: "latest".into(), ..ImportOptions::default() };
    images.import(std::fs::File::open(&archive).unwrap(), &options, &Silent).unwrap();
    std::fs::remove_dir_all(tree).unwrap();
}
