//! Files and figures of containers: archive, changes, export, top and stats.

use std::io::Read;

use base64::{Engine, prelude::BASE64_STANDARD};
use longshore_archive::{
    entry::{Entry, Kind},
    limits::Limits,
    tar::{Reader, Writer},
};
use serde_json::{Value, json};
use testkit::longshored::Exchange;

use crate::streams::bed::Bed;

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (path, text) in files {
        let entry = Entry {
            path: path.as_bytes().to_vec(),
            kind: Kind::File,
            mode: 0o644,
            size: text.len() as u64,
            ..Entry::default()
        };
        writer.entry(&entry, text.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

/// Names and contents.
fn list(mut tar: &[u8]) -> Vec<(String, String)> {
    let mut reader = Reader::new(&mut tar, &Limits::default());
    let mut found = Vec::new();
    while let Some(entry) = reader.next().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        found.push((text(&entry.path), text(&content)));
    }
    found
}

fn names(tar: &[u8]) -> Vec<String> {
    list(tar).into_iter().map(|(name, _)| name).collect()
}

impl Bed {
    fn put(&self, id: &str, path: &str, tar: Vec<u8>) -> testkit::longshored::Answer {
        let path = format!("/containers/{id}/archive?path={path}");
        self.daemon.send(&Exchange::new("PUT", &path).body(tar))
    }

    fn file(&self, id: &str, path: &str) -> String {
        let answer = self.daemon.get(&format!("/containers/{id}/archive?path={path}")).expect(200);
        list(&answer.body).remove(0).1
    }
}

#[test]
fn files_are_copied_whatever_the_container_does() {
    let bed = Bed::new();
    let id = bed.create(&["sleep", "1000"], &Value::Null);
    drop(bed.put(&id, "/tmp", tar(&[("made", "before")])).expect(200));
    assert_eq!(bed.file(&id, "/tmp/made"), "before");
    bed.start(&id);
    assert_eq!(bed.file(&id, "/tmp/made"), "before");
    drop(bed.put(&id, "/", tar(&[("tmp/deep/made", "while")])).expect(200));
    let exec = bed.exec(&id, &["cat", "/tmp/deep/made"], &Value::Null);
    assert_eq!(bed.exec_start(&exec).0, "while");
    drop(bed.daemon.post(&format!("/containers/{id}/pause"), &Value::Null).expect(204));
    assert_eq!(bed.file(&id, "/tmp/deep/made"), "while");
    drop(bed.daemon.post(&format!("/containers/{id}/unpause"), &Value::Null).expect(204));
    drop(bed.daemon.post(&format!("/containers/{id}/kill"), &Value::Null).expect(204));
    bed.wait(&id);
    assert_eq!(bed.file(&id, "/tmp/deep/made"), "while");
    let changes = bed.daemon.get(&format!("/containers/{id}/changes")).expect(200).json();
    for path in ["/tmp/made", "/tmp/deep", "/tmp/deep/made"] {
        assert!(changes.as_array().unwrap().contains(&json!({ "Path": path, "Kind": 1 })), "{changes}");
    }
    let exported = bed.daemon.get(&format!("/containers/{id}/export")).expect(200);
    let names = names(&exported.body);
    for name in ["tmp/deep/made", "bin/busybox", "etc/passwd"] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
}

/// A second overlay of directories that are in use is what the kernel warns of in its log.
#[test]
fn a_running_container_is_exported_without_its_mounts() {
    let bed = Bed::new();
    let more = json!({ "HostConfig": { "Tmpfs": { "/tmp/over": "" }, "Binds": ["/sys:/tmp/bound:ro"] } });
    let script = "echo written > /tmp/file; echo hidden > /tmp/over/hidden; sleep 1000";
    let id = bed.create(&["sh", "-c", script], &more);
    drop(bed.put(&id, "/", tar(&[("tmp/over/below", "shown")])).expect(200));
    bed.start(&id);
    let written = || bed.daemon.get(&format!("/containers/{id}/archive?path=/tmp/over/hidden")).status == 200;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !written() {
        assert!(std::time::Instant::now() < end, "nothing is written");
    }
    let exported = list(&bed.daemon.get(&format!("/containers/{id}/export")).expect(200).body);
    let content =
        |name: &str| exported.iter().find(|(found, _)| found == name).map(|(_, text)| text.as_str());
    assert_eq!(content("tmp/file"), Some("written\n"));
    assert_eq!(content("tmp/over/below"), Some("shown"));
    assert_eq!(content("tmp/over/hidden"), None);
    assert!(exported.iter().any(|(name, _)| name == "tmp/bound/" || name == "tmp/bound"));
    assert!(!exported.iter().any(|(name, _)| name.starts_with("tmp/bound/k")));
}

#[test]
fn a_path_is_looked_at() {
    let bed = Bed::new();
    let id = bed.create(&["true"], &Value::Null);
    let look =
        |path: &str| bed.daemon.request("HEAD", &format!("/containers/{id}/archive?path={path}")).expect(200);
    let header = look("/bin/sh").headers["x-docker-container-path-stat"].clone();
    let stat: Value = serde_json::from_slice(&BASE64_STANDARD.decode(header).unwrap()).unwrap();
    assert_eq!(stat["name"], "sh");
    assert_eq!(stat["linkTarget"], "/bin/busybox");
    assert_eq!(stat["mode"], 0x0800_01ff);
    assert_eq!(stat["size"], 7);
    let message = |path: &str, status| {
        bed.daemon.get(&format!("/containers/{id}/archive{path}")).expect(status).message()
    };
    assert_eq!(message("", 400), "bad parameter: path cannot be empty");
    assert_eq!(message("?path=/none", 404), format!("Could not find the file /none in container {id}"));
    let refused = bed.put(&id, "/bin/sh", tar(&[])).expect(400);
    assert_eq!(refused.message(), "extraction point is not a directory");
}

#[test]
fn a_read_only_root_takes_nothing() {
    let bed = Bed::new();
    let id = bed.create(&["sleep", "1000"], &json!({ "HostConfig": { "ReadonlyRootfs": true } }));
    for starts in [true, false] {
        let refused = bed.put(&id, "/tmp", tar(&[("x", "")])).expect(400);
        assert_eq!(refused.message(), "container rootfs is marked read-only");
        if starts {
            bed.start(&id);
        }
    }
}

/// A2 38 and 52: what a container has in the place of the host's programs and lists is not used.
#[test]
fn nothing_of_the_container_is_executed() {
    let bed = Bed::new();
    let id = bed.create(&["sleep", "1000"], &json!({ "User": "ann" }));
    let script = "#!/bin/sh\ntouch /marker\n";
    let fakes = ["bin/xz", "bin/unpigz", "usr/bin/xz", "sbin/unxz", "bin/tar", "etc/ld.so.preload"];
    drop(bed.put(&id, "/", tar(&fakes.map(|name| (name, script)))).expect(200));
    bed.start(&id);
    drop(bed.put(&id, "/tmp", b"\xfd7zXZ\0nothing".to_vec()).expect(400));
    drop(bed.put(&id, "/tmp&copyUIDGID=1", tar(&[("mine", "")])).expect(200));
    let exec = bed.exec(&id, &["sh", "-c", "busybox ls -ln /tmp/mine; busybox ls /marker"], &Value::Null);
    let (output, _, _) = bed.exec_start(&exec);
    assert!(output.contains(" 1000 ") && output.contains(" 100 "), "{output}");
    assert!(!output.contains("marker"), "{output}");
}

#[test]
fn processes_are_listed() {
    let bed = Bed::new();
    let id = bed.run(&["sleep", "1000"], &Value::Null);
    let top = bed.daemon.get(&format!("/containers/{id}/top")).expect(200).json();
    assert_eq!(top["Titles"], json!(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]));
    assert_eq!(top["Processes"][0][7], "sleep 1000");
    assert_eq!(top["Processes"][0][0], "root");
    assert_eq!(top["Processes"].as_array().unwrap().len(), 1);
    drop(bed.daemon.post(&format!("/containers/{id}/kill"), &Value::Null).expect(204));
    bed.wait(&id);
    bed.daemon.get(&format!("/containers/{id}/top")).expect(409);
}

#[test]
fn figures_are_those_of_the_kernel() {
    let bed = Bed::new();
    let limits = json!({ "HostConfig": { "Memory": 64 << 20 } });
    let id = bed.run(&["sh", "-c", "while true; do true; done"], &limits);
    let stats = |query: &str| bed.daemon.get(&format!("/containers/{id}/stats?{query}")).expect(200).json();
    let two = stats("stream=false");
    let total = |stats: &Value| stats["cpu_usage"]["total_usage"].as_u64().unwrap();
    assert!(total(&two["cpu_stats"]) > total(&two["precpu_stats"]), "{two}");
    let system = |stats: &Value| stats["system_cpu_usage"].as_u64().unwrap();
    assert!(system(&two["cpu_stats"]) > system(&two["precpu_stats"]), "{two}");
    assert_eq!(two["memory_stats"]["limit"], 64 << 20);
    assert!(two["memory_stats"]["usage"].as_u64().unwrap() > 0, "{two}");
    assert_eq!(two["pids_stats"]["current"], 1);
    assert_eq!(two["id"], id);
    let one = stats("stream=false&one-shot=1");
    assert_eq!(total(&one["precpu_stats"]), 0);
    assert!(total(&one["cpu_stats"]) >= total(&two["cpu_stats"]), "{one}");
    drop(bed.daemon.post(&format!("/containers/{id}/kill"), &Value::Null).expect(204));
    bed.wait(&id);
    let none = stats("stream=false");
    assert_eq!((&none["read"], total(&none["cpu_stats"])), (&json!("0001-01-01T00:00:00Z"), 0));
}
