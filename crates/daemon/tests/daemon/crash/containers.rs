//! Containers: from their creation to their end.

use std::{
    io,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use serde_json::{Value, json};
use testkit::longshored::{Answer, Exchange};

use super::{Case, and_fail_at_every_step, at_every_step, look, send};
use crate::streams::bed::{Bed, Hijacked};

const FOREVER: [&str; 2] = ["sleep", "1000"];

/// A container with something of everything that lies on the host while it runs.
fn rich() -> Value {
    json!({
        "Volumes": { "/made": {} }, "ExposedPorts": { "80/tcp": {} },
        "HostConfig": {
            "NetworkMode": "bridge", "PortBindings": { "80/tcp": [{ "HostPort": "8080" }] }, "IpcMode": "shareable",
            "Binds": ["named:/named"],
        },
    })
}

/// What is to be seen of a container, without what a daemon forgets on purpose, and of the volumes.
fn whole(bed: &Bed, id: &str) -> Value {
    let mut found = look(bed, &format!("/containers/{id}/json"));
    if let Some(fields) = found.as_object_mut() {
        fields.remove("ExecIDs");
    }
    json!([found, look(bed, "/volumes")])
}

/// The same of one that has not run: whether it was about to be is not to be seen, but for the ID of its network.
fn unstarted(bed: &Bed, id: &str) -> Value {
    let mut found = whole(bed, id);
    if found[0]["State"]["Status"] == "created" {
        for (_, own) in found[0]["NetworkSettings"]["Networks"].as_object_mut().into_iter().flatten() {
            own["NetworkID"].take();
        }
    }
    found
}

fn run(bed: &Bed) -> String {
    bed.run(&FOREVER, &rich())
}

/// An operation that is one request without a body, on a container that runs.
fn on_a_running_one(request: &(dyn Fn(&str) -> Exchange + Sync), done: u16, again: &[u16], steps: usize) {
    at_every_step(&Case {
        prepare: &run,
        act: &|bed, id| send(bed, &request(id)),
        done: &[done],
        again,
        look: &whole,
        steps,
        goes_on_after: "",
    });
}

#[test]
fn create() {
    let count = AtomicU32::new(0);
    and_fail_at_every_step(&Case {
        prepare: &|_| format!("made-{}", count.fetch_add(1, Ordering::Relaxed)),
        act: &|bed, name| {
            let mut document = rich();
            document["Image"] = json!("busybox");
            document["Cmd"] = json!(FOREVER);
            send(bed, &Exchange::new("POST", &format!("/containers/create?name={name}")).json(&document))
        },
        done: &[201],
        again: &[409],
        look: &whole,
        steps: 4,
        goes_on_after: "",
    });
}

#[test]
fn start() {
    at_every_step(&Case {
        prepare: &|bed| bed.create(&FOREVER, &rich()),
        act: &|bed, id| send(bed, &Exchange::new("POST", &format!("/containers/{id}/start"))),
        done: &[204],
        again: &[304],
        look: &unstarted,
        steps: 3,
        goes_on_after: "",
    });
}

/// With a client that waits for its first output, the init is held until that is connected.
#[test]
fn start_with_a_client() {
    let clients = Mutex::new(Vec::new());
    at_every_step(&Case {
        prepare: &|bed| {
            let id = bed.create(&FOREVER, &json!({}));
            clients.lock().unwrap().push(attached(bed, &id));
            id
        },
        act: &|bed, id| {
            // The one that it had has gone with the daemon.
            clients.lock().unwrap().push(attached(bed, id));
            send(bed, &Exchange::new("POST", &format!("/containers/{id}/start")))
        },
        done: &[204],
        again: &[304],
        look: &unstarted,
        steps: 4,
        goes_on_after: "",
    });
}

fn attached(bed: &Bed, id: &str) -> Hijacked {
    bed.hijack(&format!("/containers/{id}/attach?stream=1&stdout=1"), &Value::Null)
}

#[test]
fn stop() {
    on_a_running_one(&|id| Exchange::new("POST", &format!("/containers/{id}/stop?t=0")), 204, &[304], 3);
}

#[test]
fn kill() {
    on_a_running_one(&|id| Exchange::new("POST", &format!("/containers/{id}/kill")), 204, &[409], 2);
}

#[test]
fn pause() {
    and_fail_at_every_step(&Case {
        prepare: &run,
        act: &|bed, id| send(bed, &Exchange::new("POST", &format!("/containers/{id}/pause"))),
        done: &[204],
        again: &[409],
        look: &whole,
        steps: 2,
        goes_on_after: "",
    });
}

/// One that is made to go at its end is gone, with all of it.
#[test]
fn end_of_one_that_goes() {
    at_every_step(&Case {
        prepare: &|bed| {
            let mut document = rich();
            document["HostConfig"]["AutoRemove"] = json!(true);
            bed.run(&FOREVER, &document)
        },
        act: &|bed, id| {
            let status = send(bed, &Exchange::new("POST", &format!("/containers/{id}/kill")))?.status;
            assert!([204, 404, 409].contains(&status), "{status}");
            let end = Instant::now() + testkit::patience();
            loop {
                let answer = send(bed, &Exchange::new("GET", &format!("/containers/{id}/json")))?;
                if answer.status == 404 {
                    return Ok(answer);
                }
                assert!(Instant::now() < end, "{}", answer.text());
            }
        },
        done: &[404],
        again: &[404],
        look: &|bed, id| {
            let end = Instant::now() + testkit::patience();
            loop {
                let found = whole(bed, id);
                // One that has ended is on its way.
                if found[0].is_null() || found[0]["State"]["Status"] == "running" {
                    return found;
                }
                assert!(Instant::now() < end, "{found:#}");
            }
        },
        steps: 8,
        goes_on_after: "",
    });
}

#[test]
fn remove_by_force() {
    at_every_step(&Case {
        prepare: &run,
        act: &|bed, id| send(bed, &Exchange::new("DELETE", &format!("/containers/{id}?force=1&v=1"))),
        done: &[204],
        again: &[404],
        look: &|bed, id| {
            let end = Instant::now() + testkit::patience();
            loop {
                let found = whole(bed, id);
                if found[0]["State"]["Status"] != "removing" {
                    return found;
                }
                assert!(Instant::now() < end, "{found:#}");
            }
        },
        steps: 7,
        goes_on_after: "container.remove.row",
    });
}

/// Its volumes stay, though nobody named one of them.
#[test]
fn remove() {
    at_every_step(&Case {
        prepare: &|bed| bed.create(&FOREVER, &rich()),
        act: &|bed, id| send(bed, &Exchange::new("DELETE", &format!("/containers/{id}"))),
        done: &[204],
        again: &[404],
        look: &|bed, id| {
            let found = whole(bed, id);
            assert_eq!(found[1]["Volumes"].as_array().map(Vec::len), Some(2), "{found:#}");
            found
        },
        steps: 6,
        goes_on_after: "",
    });
}

#[test]
fn prune() {
    at_every_step(&Case {
        prepare: &|bed| bed.create(&FOREVER, &rich()),
        act: &|bed, _| send(bed, &Exchange::new("POST", "/containers/prune")),
        done: &[200],
        again: &[],
        look: &whole,
        steps: 6,
        goes_on_after: "",
    });
}

#[test]
fn rename() {
    and_fail_at_every_step(&Case {
        prepare: &run,
        act: &|bed, id| send(bed, &Exchange::new("POST", &format!("/containers/{id}/rename?name=other"))),
        done: &[204],
        again: &[400],
        look: &whole,
        steps: 1,
        goes_on_after: "",
    });
}

#[test]
fn update() {
    let change = json!({ "PidsLimit": 77, "Memory": 64 << 20, "MemorySwap": 128 << 20,
        "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 4 } });
    and_fail_at_every_step(&Case {
        prepare: &run,
        act: &|bed, id| send(bed, &Exchange::new("POST", &format!("/containers/{id}/update")).json(&change)),
        done: &[200],
        again: &[200],
        look: &|bed, id| {
            json!([whole(bed, id), testkit::cgroups::value("pids", &format!("/longshore/{id}"), "pids.max")])
        },
        steps: 2,
        goes_on_after: "",
    });
}

#[test]
fn exec() {
    and_fail_at_every_step(&Case {
        prepare: &run,
        act: &|bed, id| {
            let document = json!({ "Cmd": ["true"], "AttachStdout": true });
            let made = send(bed, &Exchange::new("POST", &format!("/containers/{id}/exec")).json(&document))?;
            let exec = made.expect(201).json()["Id"].as_str().unwrap().to_owned();
            send(
                bed,
                &Exchange::new("POST", &format!("/exec/{exec}/start")).json(&json!({ "Detach": false })),
            )
        },
        done: &[200],
        again: &[200],
        look: &whole,
        steps: 1,
        goes_on_after: "",
    });
}

#[test]
fn put_archive() {
    let archive = {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "content").unwrap();
        testkit::tool::output(Command::new("tar").arg("-C").arg(dir.path()).args(["-cf", "-", "file"]))
    };
    at_every_step(&Case {
        prepare: &run,
        act: &|bed, id| {
            send(
                bed,
                &Exchange::new("PUT", &format!("/containers/{id}/archive?path=/named")).body(archive.clone()),
            )
        },
        done: &[200],
        again: &[200],
        look: &|bed, id| {
            let path = format!("/containers/{id}/archive?path=/named/file");
            json!([whole(bed, id), bed.daemon.get(&path).status])
        },
        steps: 1,
        goes_on_after: "",
    });
}

/// A container that ends starts again, once, whenever the daemon is killed.
#[test]
fn restart_by_policy() {
    let restarted = |bed: &Bed, id: &str| -> io::Result<Answer> {
        let end = Instant::now() + testkit::patience();
        loop {
            let answer = send(bed, &Exchange::new("GET", &format!("/containers/{id}/json")))?;
            let found = answer.json();
            if found["RestartCount"] == 1 && found["State"]["Status"] == "running" {
                return Ok(answer);
            }
            assert!(Instant::now() < end, "{:#}\n{}", found["State"], bed.daemon.log());
        }
    };
    at_every_step(&Case {
        prepare: &|bed| {
            let id =
                bed.create(&FOREVER, &json!({ "HostConfig": { "RestartPolicy": { "Name": "always" } } }));
            bed.start(&id);
            id
        },
        act: &|bed, id| {
            let found = send(bed, &Exchange::new("GET", &format!("/containers/{id}/json")))?.json();
            if found["RestartCount"] == 0 && found["State"]["Status"] == "running" {
                let pid = found["State"]["Pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
                let init = rustix::process::Pid::from_raw(pid.unwrap()).unwrap();
                rustix::process::kill_process(init, rustix::process::Signal::KILL).unwrap();
            }
            restarted(bed, id)
        },
        done: &[200],
        again: &[200],
        look: &|bed, id| {
            let found = bed.inspect(id);
            // One that has ended is on its way.
            if found["State"]["Status"] == "running" && found["RestartCount"] == 0 {
                return json!("before");
            }
            restarted(bed, id).unwrap();
            json!("after")
        },
        steps: 4,
        goes_on_after: "",
    });
}
