//! What a container may be asked to be: rows C3 39 and 40. Each is refused with a status of the client's, at its
//! creation or its start, or does what it says and no more. Nothing is injected into a file, and nothing outside of the
//! container is touched.

use std::path::Path;

use serde_json::{Value, json};
use testkit::canary::Canary;

use crate::streams::bed::Bed;

/// What is to come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Its creation is refused with 400.
    NotMade,
    /// Its start is refused with 400.
    NotStarted,
    Runs,
}
use Outcome::{NotMade, NotStarted, Runs};

/// Tries one; returns the outcome, and what the daemon said.
fn attempt(bed: &Bed, more: &Value) -> (Outcome, String) {
    let mut document = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", "cat /etc/hosts /etc/hostname /etc/resolv.conf; env; echo done"],
        "HostConfig": { "NetworkMode": "none" },
    });
    for (key, value) in more.as_object().unwrap() {
        match (document[key].as_object_mut(), value.as_object()) {
            (Some(known), Some(value)) => known.extend(value.clone()),
            _ => document[key] = value.clone(),
        }
    }
    let made = bed.daemon.post("/containers/create", &document);
    if made.status != 201 {
        assert_eq!(made.status, 400, "{more}: {}", made.text());
        return (NotMade, made.message());
    }
    let id = made.json()["Id"].as_str().unwrap().to_owned();
    let started = bed.daemon.post(&format!("/containers/{id}/start"), &Value::Null);
    let outcome = if started.status == 204 {
        bed.wait(&id);
        (Runs, bed.text(&id, ""))
    } else {
        assert_eq!(started.status, 400, "{more}: {}", started.text());
        (NotStarted, started.message())
    };
    drop(bed.daemon.delete(&format!("/containers/{id}?force=1&v=1")).expect(204));
    outcome
}

fn all(bed: &Bed, cases: &[(Value, Outcome, &str)]) {
    let mut wrong = Vec::new();
    for (more, expected, words) in cases {
        let (outcome, said) = attempt(bed, more);
        if outcome != *expected || !said.contains(words) {
            wrong.push(format!("{more:.200}: {outcome:?}: {said:.300}"));
        }
        drop(bed.daemon.get("/_ping").expect(200));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for place in ["data/containers", "exec/containers", "data/snapshots", "exec/mounts"] {
        assert_eq!(
            std::fs::read_dir(bed.daemon.dir().join(place)).into_iter().flatten().count(),
            0,
            "{place}"
        );
    }
    assert!(!bed.daemon.log().contains("panicked"));
}

fn host(more: Value) -> Value {
    json!({ "HostConfig": more })
}

fn mount(kind: &str, source: &Path, target: &str, more: Value) -> Value {
    let mut mount = json!({ "Type": kind, "Source": source, "Target": target });
    mount.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    host(json!({ "Mounts": [mount] }))
}

#[test]
fn c3_39_mounts() {
    let bed = Bed::new();
    let canary = Canary::new(&bed.daemon.dir().join("canary"));
    let (root, here) = (Path::new("/"), canary.dir());
    let missing = bed.daemon.dir().join("missing");
    let data = bed.daemon.dir().join("data");
    let none = || json!({});
    let tmpfs = |options: &str| host(json!({ "Tmpfs": { "/t": options } }));
    let many: Vec<Value> =
        (0..2000).map(|at| json!({ "Type": "tmpfs", "Target": format!("/m/{at}") })).collect();
    let twice = json!({ "Type": "bind", "Source": here, "Target": "/twice" });
    all(
        &bed,
        &[
            (mount("bind", root, "/host", json!({ "ReadOnly": true })), Runs, "done"),
            (mount("bind", &missing, "/x", none()), NotMade, "bind source path does not exist"),
            (
                mount("bind", Path::new("relative"), "/x", none()),
                NotMade,
                "invalid mount path: 'relative' mount path must be absolute",
            ),
            (mount("bind", &data, "/x", json!({ "ReadOnly": true })), Runs, "done"),
            (mount("bind", &bed.daemon.socket(), "/sock", none()), Runs, "done"),
            (mount("bind", here, "/", none()), NotMade, "destination can't be '/'"),
            (mount("bind", here, "/proc/..", none()), NotMade, "destination can't be '/'"),
            (mount("bind", here, "relative", none()), NotMade, "mount path must be absolute"),
            (mount("bind", here, "/proc", none()), NotStarted, "/proc"),
            (
                mount("bind", here, "/x", json!({ "BindOptions": { "Propagation": "sideways" } })),
                NotMade,
                "sideways",
            ),
            (mount("tmpfs", here, "/x", none()), NotMade, "field Source must not be specified"),
            (mount("nothing", here, "/x", none()), NotMade, "mount type unknown"),
            (mount("volume", Path::new("../../x"), "/x", none()), NotMade, ""),
            (host(json!({ "Mounts": [twice, twice] })), NotMade, "Duplicate mount point: /twice"),
            (host(json!({ "Binds": [format!("{}:/a:ro,rw", here.display())] })), NotMade, "invalid mode"),
            (host(json!({ "Binds": ["/a:/b:c:d:e"] })), NotMade, "invalid"),
            (host(json!({ "Binds": [":"] })), NotMade, ""),
            (host(json!({ "Binds": ["../x:/y"] })), NotMade, ""),
            (tmpfs("size=-1"), NotStarted, ""),
            (tmpfs("mode=9999"), NotStarted, ""),
            (tmpfs("nosuch"), NotMade, "nosuch"),
            (tmpfs("size=1m,mode=1777,exec,suid"), Runs, "done"),
            (host(json!({ "Tmpfs": { "relative": "" } })), NotMade, ""),
            (host(json!({ "Mounts": many })), Runs, "done"),
        ],
    );
    canary.assert_untouched();
}

#[test]
fn c3_40_settings() {
    let bed = Bed::new();
    let canary = Canary::new(&bed.daemon.dir().join("canary"));
    let long = "h".repeat(10_000);
    let security = |word: &str| host(json!({ "SecurityOpt": [word] }));
    let sysctl = |key: &str, value: &str| host(json!({ "Sysctls": { key: value } }));
    let log = |key: &str, value: &str| {
        host(json!({ "LogConfig": { "Type": "json-file", "Config": { key: value } } }))
    };
    all(
        &bed,
        &[
            (sysctl("kernel.core_pattern", "|/x"), NotMade, "kernel.core_pattern"),
            (sysctl("net.core.somaxconn", "1 +kernel.core_pattern=x"), NotStarted, ""),
            (sysctl("net.ipv4/../../kernel/core_pattern", "x"), NotStarted, ""),
            (sysctl("../kernel/core_pattern", "x"), NotMade, ""),
            (host(json!({ "NetworkMode": "host", "Sysctls": { "net.core.somaxconn": "1" } })), NotMade, ""),
            (
                host(json!({ "Ulimits": [{ "Name": "nosuch", "Soft": 1, "Hard": 1 }] })),
                NotMade,
                "invalid ulimit type: nosuch",
            ),
            (host(json!({ "Ulimits": [{ "Name": "nofile", "Soft": 2, "Hard": 1 }] })), NotMade, ""),
            (
                host(
                    json!({ "Devices": [{ "PathOnHost": "/nosuch", "PathInContainer": "/x", "CgroupPermissions": "r" }] }),
                ),
                NotStarted,
                "/nosuch",
            ),
            (
                host(
                    json!({ "Devices": [{ "PathOnHost": "/dev/null", "PathInContainer": "/x", "CgroupPermissions": "xyz" }] }),
                ),
                NotStarted,
                "xyz",
            ),
            (
                host(json!({ "DeviceCgroupRules": ["z 1:1 r"] })),
                NotMade,
                "invalid device cgroup rule format: 'z 1:1 r'",
            ),
            (host(json!({ "DeviceCgroupRules": ["c 1:1 r\nc *:* rwm"] })), NotMade, ""),
            (host(json!({ "CapAdd": ["CAP_NOSUCH"] })), NotMade, "CAP_NOSUCH"),
            (security("seccomp=nosuch"), NotStarted, ""),
            (security("seccomp={"), NotStarted, ""),
            (security("nosuch=x"), NotMade, "nosuch"),
            (
                host(json!({ "Runtime": "../../bin/sh" })),
                NotMade,
                "unknown or invalid runtime name: ../../bin/sh",
            ),
            (host(json!({ "CgroupParent": "../../x" })), NotMade, ""),
            (log("path", "/etc/x"), NotMade, "unknown log opt 'path' for json-file log driver"),
            (log("max-file", "x"), NotStarted, "max-file"),
            (json!({ "Hostname": long }), NotMade, ""),
            (json!({ "Hostname": "a\nb" }), NotMade, ""),
            (json!({ "Domainname": "a\n127.0.0.1 b" }), NotMade, ""),
            (host(json!({ "Dns": [";rm -rf"] })), NotMade, ""),
            (host(json!({ "DnsSearch": ["a\nnameserver 1.2.3.4"] })), NotMade, ""),
            (host(json!({ "DnsOptions": ["a\nnameserver 1.2.3.4"] })), NotMade, ""),
            (host(json!({ "ExtraHosts": ["a:1.2.3.4\n1.2.3.5 b"] })), NotMade, ""),
            (host(json!({ "ExtraHosts": ["a\n1.2.3.5 b:1.2.3.4"] })), NotMade, ""),
            (json!({ "Env": ["A=b\nC=d"] }), Runs, "A=b\nC=d"),
            (json!({ "Env": ["A=\u{0}"] }), NotMade, ""),
            (json!({ "Env": ["=x"] }), NotMade, "invalid environment variable: =x"),
            (json!({ "Cmd": ["sh\u{0}"] }), NotMade, ""),
            (json!({ "WorkingDir": "/../../etc" }), Runs, "done"),
            (json!({ "User": "../../x" }), NotStarted, ""),
            (json!({ "StopSignal": "SIGNOSUCH" }), NotMade, "SIGNOSUCH"),
        ],
    );
    canary.assert_untouched();
}
