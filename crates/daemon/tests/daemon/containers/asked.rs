//! What is asked of containers in each version, and how refusals are worded.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::longshored::Exchange;

use crate::streams::bed::Bed;

const FOREVER: [&str; 2] = ["sleep", "1000"];

fn refused(bed: &Bed, path: &str, document: &Value, status: u16) -> String {
    bed.daemon.post(path, document).expect(status).message()
}

#[test]
fn a_create_is_refused_in_dockers_words() {
    let bed = Bed::new();
    let create = |document: Value| refused(&bed, "/containers/create", &document, 400);
    let empty = Exchange::new("POST", "/containers/create").header("Content-Type", "application/json");
    assert_eq!(bed.daemon.send(&empty.body("")).expect(400).message(), "invalid JSON: EOF");
    assert_eq!(create(json!({})), "config cannot be empty in order to create a container");
    let port = json!({ "Image": "busybox", "HostConfig": { "PortBindings": { "19039;1230": [{}] } } });
    assert_eq!(create(port), "invalid JSON: invalid port '19039;1230': invalid syntax");
    let image = bed.daemon.get("/images/busybox/json").expect(200).json()["Id"].as_str().unwrap().to_owned();
    assert_eq!(create(json!({ "Image": format!("busybox:{image}") })), "invalid reference format");
    let networks = json!({
        "Image": "busybox", "Cmd": FOREVER,
        "NetworkingConfig": { "EndpointsConfig": { "one": {}, "two": {} } },
    });
    assert_eq!(
        refused(&bed, "/v1.43/containers/create", &networks, 400),
        "Container cannot be created with multiple network endpoints: one, two"
    );
}

#[test]
fn older_versions_have_their_defaults() {
    let bed = Bed::new();
    let mode = |version: u32| {
        let document = json!({ "Image": "busybox", "Cmd": FOREVER, "HostConfig": { "NetworkMode": "none" } });
        let path = format!("/v1.{version}/containers/create");
        let id = bed.daemon.post(&path, &document).expect(201).json()["Id"].as_str().unwrap().to_owned();
        bed.inspect(&id)["HostConfig"]["IpcMode"].clone()
    };
    assert_eq!((mode(39), mode(40)), (json!("shareable"), json!("private")));
    // What is below a read-only bind is read-only too from 1.44 on.
    let source = tempfile::tempdir().unwrap();
    std::fs::create_dir(source.path().join("below")).unwrap();
    let below = source.path().join("below");
    let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&below).status();
    assert!(mounted.unwrap().success());
    let bind = format!("{}:/bound:ro", source.path().display());
    let code = |version: u32| {
        let document = json!({
            "Image": "busybox", "Cmd": ["touch", "/bound/below/x"],
            "HostConfig": { "NetworkMode": "none", "Binds": [bind] },
        });
        let path = format!("/v1.{version}/containers/create");
        let id = bed.daemon.post(&path, &document).expect(201).json()["Id"].as_str().unwrap().to_owned();
        bed.start(&id);
        bed.wait(&id)
    };
    let codes = [43, 44].map(code);
    let unmounted = std::process::Command::new("umount").arg("-l").arg(&below).status();
    assert!(unmounted.unwrap().success());
    assert_eq!(codes, [0, 1]);
}

#[test]
fn limits_are_changed_as_the_version_knows_them() {
    let bed = Bed::new();
    let id = bed.run(&FOREVER, &json!({ "HostConfig": { "PidsLimit": 32 } }));
    let limit = || bed.inspect(&id)["HostConfig"]["PidsLimit"].clone();
    let update = |version: u32, limit: i64| {
        let path = format!("/v1.{version}/containers/{id}/update");
        drop(bed.daemon.post(&path, &json!({ "PidsLimit": limit })).expect(200));
    };
    update(39, 16);
    assert_eq!(limit(), 32);
    update(40, 16);
    assert_eq!(limit(), 16);
    update(55, -2);
    assert_eq!(limit(), 0);
}

#[test]
fn namespaces_are_shared_by_who_may() {
    let bed = Bed::new();
    let missing =
        json!({ "Image": "busybox", "Cmd": FOREVER, "HostConfig": { "PidMode": "container:none" } });
    assert_eq!(refused(&bed, "/containers/create", &missing, 400), "No such container: none");
    let donor = bed.create(&FOREVER, &json!({ "HostConfig": { "IpcMode": "private" } }));
    let joins = |mode: &str| {
        bed.create(&FOREVER, &json!({ "HostConfig": { (mode): format!("container:{}", &donor[..12]) } }))
    };
    let (pid, ipc) = (joins("PidMode"), joins("IpcMode"));
    assert_eq!(bed.inspect(&pid)["HostConfig"]["PidMode"], format!("container:{donor}"));
    let start = |id: &str, status| refused(&bed, &format!("/containers/{id}/start"), &Value::Null, status);
    let words = start(&pid, 500);
    assert!(
        words.contains(&format!("failed to join PID namespace: container {donor} is not running")),
        "{words}"
    );
    bed.start(&donor);
    bed.start(&pid);
    let words = start(&ipc, 400);
    assert!(words.contains(&format!("container {donor}: non-shareable IPC")), "{words}");
    let open = bed.run(&FOREVER, &json!({ "HostConfig": { "IpcMode": "shareable" } }));
    let guest = bed.run(&FOREVER, &json!({ "HostConfig": { "IpcMode": format!("container:{open}") } }));
    // Through one that shares it already.
    let third = bed.run(&FOREVER, &json!({ "HostConfig": { "IpcMode": format!("container:{guest}") } }));
    let exec = bed.exec(&open, &["sh", "-c", "echo seen > /dev/shm/x"], &Value::Null);
    bed.exec_start(&exec);
    for id in [&guest, &third] {
        let exec = bed.exec(id, &["cat", "/dev/shm/x"], &Value::Null);
        assert_eq!(bed.exec_start(&exec).0, "seen\n");
    }
}

#[test]
fn a_restart_goes_on_without_its_client() {
    let bed = Bed::new();
    let script = "trap 'echo asked' TERM; echo ready; while true; do sleep 0.1; done";
    let id = bed.run(&["sh", "-c", script], &Value::Null);
    let end = Instant::now() + Duration::from_secs(30);
    let writes = |word: &str| {
        while !bed.text(&id, "").contains(word) {
            assert!(Instant::now() < end, "{word} is not written");
        }
    };
    writes("ready");
    let started = bed.inspect(&id)["State"]["StartedAt"].clone();
    let mut client = bed.daemon.connect();
    let request =
        format!("POST /containers/{id}/restart?t=2 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    writes("asked");
    drop(client);
    loop {
        let state = bed.inspect(&id)["State"].clone();
        if state["StartedAt"] != started && state["Running"] == true {
            break;
        }
        assert!(Instant::now() < end, "it is not started again: {state}");
    }
}

#[test]
fn an_exec_that_has_ended_has_no_size() {
    let bed = Bed::new();
    let id = bed.run(&FOREVER, &Value::Null);
    let exec = bed.exec(&id, &["true"], &json!({ "Tty": true }));
    bed.exec_start(&exec);
    let words = refused(&bed, &format!("/exec/{exec}/resize?h=10&w=10"), &Value::Null, 409);
    assert!(words.ends_with("is not running"), "{words}");
}

#[test]
fn volumes_take_space() {
    let bed = Bed::new();
    let mount = |volume: &str, target: &str| json!({ "Type": "volume", "Source": volume, "Target": target });
    let mounts = json!({ "HostConfig": { "Mounts": [mount("used", "/v")] } });
    let id = bed.run(&["sh", "-c", "echo 1234567 > /v/file"], &mounts);
    bed.wait(&id);
    drop(bed.daemon.post("/volumes/create", &json!({ "Name": "idle" })).expect(201));
    let usage = bed.daemon.get("/system/df?type=volume&verbose=1").expect(200).json()["VolumeUsage"].clone();
    assert_eq!((&usage["TotalCount"], &usage["ActiveCount"]), (&json!(2), &json!(1)), "{usage}");
    assert_eq!(usage["TotalSize"], 8, "{usage}");
    assert_eq!(usage["Items"][0]["UsageData"], json!({ "RefCount": 0, "Size": 0 }), "{usage}");
    assert_eq!(usage["Items"][1]["UsageData"], json!({ "RefCount": 1, "Size": 8 }), "{usage}");
}

/// A part of a volume is what Docker lets be mounted of it, filled as the whole would be.
#[test]
fn a_part_of_a_volume_stays_inside() {
    let bed = Bed::new();
    let part = |subpath: &str, target: &str| {
        let options = json!({ "Subpath": subpath });
        json!({ "HostConfig": { "Mounts": [
            { "Type": "volume", "Source": "parts", "Target": target, "VolumeOptions": options },
        ] } })
    };
    let whole =
        json!({ "HostConfig": { "Mounts": [{ "Type": "volume", "Source": "parts", "Target": "/parts" }] } });
    let script = "cd /parts; busybox mkdir bin sub; echo in > sub/file; busybox ln -s ../sub bin/../good; \
                  busybox ln -s sub near; busybox ln -s / root; busybox ln -s ../.. up";
    let made = bed.run(&["sh", "-c", script], &whole);
    assert_eq!(bed.wait(&made), 0, "{}", bed.text(&made, ""));
    let shown = bed.run(&["cat", "/v/file"], &part("near", "/v"));
    bed.wait(&shown);
    assert_eq!(bed.text(&shown, ""), "in\n");
    let filled = bed.run(&["sh", "-c", "echo /bin/b*"], &part("bin", "/bin"));
    bed.wait(&filled);
    assert_eq!(bed.text(&filled, ""), "/bin/busybox\n");
    for link in ["root", "up", "good"] {
        let id = bed.create(&FOREVER, &part(link, "/v"));
        let words = refused(&bed, &format!("/containers/{id}/start"), &Value::Null, 400);
        assert!(words.contains("path concatenation escapes the base directory"), "{words}");
    }
}
