//! Images that come from containers, and go. What comes from elsewhere is in `image/crash.rs`.

use std::process::Command;

use serde_json::{Value, json};
use testkit::longshored::Exchange;

use super::{Case, at_every_step, look, send};
use crate::streams::bed::Bed;

/// The tags of all images.
fn tags(bed: &Bed) -> Value {
    let found = look(bed, "/images/json?all=1");
    let tags: Vec<&Value> =
        found.as_array().unwrap().iter().flat_map(|image| image["RepoTags"].as_array().unwrap()).collect();
    json!(tags)
}

/// The container goes on, whenever the daemon is killed.
#[test]
fn commit() {
    at_every_step(&Case {
        prepare: &|bed| {
            let id =
                bed.run(&["sh", "-c", "echo content > /file; echo ready; exec sleep 1000"], &Value::Null);
            while !bed.text(&id, "").contains("ready") {}
            id
        },
        act: &|bed, id| send(bed, &Exchange::new("POST", &format!("/commit?container={id}&repo=made&tag=1"))),
        done: &[201],
        again: &[201],
        look: &|bed, id| json!([look(bed, &format!("/containers/{id}/json"))["State"], tags(bed)]),
        steps: 10,
        goes_on_after: "",
    });
}

#[test]
fn prune() {
    let archive = {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "content").unwrap();
        testkit::tool::output(Command::new("tar").arg("-C").arg(dir.path()).args(["-cf", "-", "file"]))
    };
    at_every_step(&Case {
        prepare: &|bed| {
            let made = send(bed, &Exchange::new("POST", "/images/create?fromSrc=-").body(archive.clone()));
            assert!(made.unwrap().expect(200).text().contains("sha256:"));
            String::new()
        },
        act: &|bed, _| send(bed, &Exchange::new("POST", "/images/prune")),
        done: &[200],
        again: &[],
        look: &|bed, _| json!(look(bed, "/images/json?all=1").as_array().map(Vec::len)),
        steps: 4,
        goes_on_after: "",
    });
}
