//! Networks, and containers that come to them and leave them.

use serde_json::{Value, json};
use testkit::longshored::Exchange;

use super::{Case, and_fail_at_every_step, at_every_step, look, send};
use crate::streams::bed::Bed;

fn make(bed: &Bed) -> String {
    drop(bed.daemon.post("/networks/create", &json!({ "Name": "net" })).expect(201));
    "net".into()
}

/// The networks that a user has made.
fn all(bed: &Bed, _: &str) -> Value {
    let mut found = look(bed, "/networks");
    if let Some(all) = found.as_array_mut() {
        all.retain(|network| network["Name"] == "net");
    }
    found
}

/// A container's ends, as they are told and as it sees them.
fn ends(bed: &Bed, id: &str) -> Value {
    let told = bed.inspect(id)["NetworkSettings"]["Networks"].clone();
    let exec = bed.exec(id, &["sh", "-c", "cat /proc/net/dev /proc/net/route"], &Value::Null);
    let (text, ..) = bed.exec_start(&exec);
    let names: Vec<&str> = text.lines().filter_map(|line| line.trim().split([':', '\t']).next()).collect();
    json!([told, names, look(bed, "/networks/net")["Containers"]])
}

#[test]
fn create() {
    and_fail_at_every_step(&Case {
        prepare: &|_| "net".into(),
        act: &|bed, name| {
            send(bed, &Exchange::new("POST", "/networks/create").json(&json!({ "Name": name })))
        },
        done: &[201],
        again: &[409],
        look: &all,
        steps: 2,
        goes_on_after: "",
    });
}

#[test]
fn remove() {
    and_fail_at_every_step(&Case {
        prepare: &make,
        act: &|bed, name| send(bed, &Exchange::new("DELETE", &format!("/networks/{name}"))),
        done: &[204],
        again: &[404],
        look: &all,
        steps: 2,
        goes_on_after: "",
    });
}

#[test]
fn prune() {
    and_fail_at_every_step(&Case {
        prepare: &make,
        act: &|bed, _| send(bed, &Exchange::new("POST", "/networks/prune")),
        done: &[200],
        again: &[],
        look: &all,
        steps: 2,
        goes_on_after: "",
    });
}

#[test]
fn connect() {
    at_every_step(&Case {
        prepare: &|bed| {
            make(bed);
            bed.run(&["sleep", "1000"], &json!({ "HostConfig": { "NetworkMode": "bridge" } }))
        },
        act: &|bed, id| {
            send(bed, &Exchange::new("POST", "/networks/net/connect").json(&json!({ "Container": id })))
        },
        done: &[200],
        again: &[403],
        look: &ends,
        steps: 2,
        goes_on_after: "",
    });
}

#[test]
fn disconnect() {
    at_every_step(&Case {
        prepare: &|bed| {
            make(bed);
            let id = bed.run(&["sleep", "1000"], &json!({ "HostConfig": { "NetworkMode": "bridge" } }));
            drop(bed.daemon.post("/networks/net/connect", &json!({ "Container": id })).expect(200));
            id
        },
        act: &|bed, id| {
            send(bed, &Exchange::new("POST", "/networks/net/disconnect").json(&json!({ "Container": id })))
        },
        done: &[200],
        again: &[403, 404],
        look: &ends,
        steps: 2,
        goes_on_after: "",
    });
}
