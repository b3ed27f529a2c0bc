//! Volumes.

use serde_json::{Value, json};
use testkit::longshored::Exchange;

use super::{Case, and_fail_at_every_step, look, send};
use crate::streams::bed::Bed;

fn make(bed: &Bed) -> String {
    let made = bed.daemon.post("/volumes/create", &json!({ "Name": "one", "Labels": { "a": "b" } }));
    made.expect(201).json()["Name"].as_str().unwrap().to_owned()
}

/// The volumes, but for the times at which they were made.
fn all(bed: &Bed, _: &str) -> Value {
    let mut found = look(bed, "/volumes");
    for volume in found["Volumes"].as_array_mut().into_iter().flatten() {
        volume["CreatedAt"].take();
    }
    found
}

#[test]
fn create() {
    and_fail_at_every_step(&Case {
        prepare: &|_| "one".into(),
        act: &|bed, name| send(bed, &Exchange::new("POST", "/volumes/create").json(&json!({ "Name": name }))),
        done: &[201],
        again: &[201],
        look: &all,
        steps: 2,
        goes_on_after: "",
    });
}

#[test]
fn remove() {
    and_fail_at_every_step(&Case {
        prepare: &make,
        act: &|bed, name| send(bed, &Exchange::new("DELETE", &format!("/volumes/{name}"))),
        done: &[204],
        again: &[404],
        look: &all,
        steps: 3,
        goes_on_after: "",
    });
}

#[test]
fn prune() {
    let path = "/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D";
    and_fail_at_every_step(&Case {
        prepare: &make,
        act: &|bed, _| send(bed, &Exchange::new("POST", path)),
        done: &[200],
        again: &[],
        look: &all,
        steps: 3,
        goes_on_after: "",
    });
}
