//! The daemon killed at each step of the store: what was asked for is there, or nothing of it.

use serde_json::{Value, json};
use testkit::longshored::{Exchange, Longshored};

use super::{assert_accounted, pull, pull_path, registry, tar};

/// Kills the daemon at each step of the store that `work` takes; each time looks at what is left and does the work
/// again.
fn at_every_step(work: impl Fn(&Longshored) -> bool, check: impl Fn(&Longshored)) {
    let first = steps_of_a_start() + 1;
    for step in first.. {
        let mut daemon = Longshored::prepare(&[]);
        daemon.set_env("LONGSHORE_STORE_FAILPOINT", &format!("kill@{step}"));
        daemon.start_again();
        if work(&daemon) && daemon.is_alive() {
            let kills = step - first;
            assert!(kills > 5, "{kills} kills: is the daemon built with failpoints?");
            return;
        }
        daemon.wait_for_end();
        daemon.set_env("LONGSHORE_STORE_FAILPOINT", "");
        daemon.start_again();
        check(&daemon);
        assert!(work(&daemon), "after a kill at step {step}");
        check(&daemon);
    }
}

/// The steps that a daemon takes before it is ready.
fn steps_of_a_start() -> usize {
    let mut daemon = Longshored::prepare(&[]);
    let log = daemon.dir().join("steps");
    daemon.set_env("LONGSHORE_STORE_FAILPOINT", "kill@1000000");
    daemon.set_env("LONGSHORE_STORE_FAILPOINT_LOG", log.to_str().unwrap());
    daemon.start_again();
    std::fs::read_to_string(log).unwrap_or_default().lines().count()
}

/// The images that are there, which are none or one.
fn images(daemon: &Longshored) -> Vec<Value> {
    let list = daemon.get("/images/json?all=1").expect(200).json();
    let list = list.as_array().unwrap().clone();
    assert!(list.len() < 2, "{list:?}");
    list
}

#[test]
fn a_pull_is_done_or_not() {
    let registry = registry();
    let name = registry.image("lib/built");
    let request = Exchange::new("POST", &pull_path(&name, "1"));
    let work = |daemon: &Longshored| {
        let answer = request.send(&daemon.socket());
        answer.is_ok_and(|answer| answer.text().contains("\"status\":\"Status: "))
    };
    at_every_step(work, |daemon| {
        for image in images(daemon) {
            assert_eq!(image["RepoTags"], json!([format!("{name}:1")]));
            daemon.get(&format!("/images/{name}:1/get")).expect(200);
        }
        assert_accounted(daemon);
    });
    let daemon = Longshored::start();
    pull(&daemon, &name, "1");
}

#[test]
fn an_import_is_done_or_not() {
    let archive = tar(&[("f", b"content")]);
    let request = Exchange::new("POST", "/images/create?fromSrc=-&repo=a&tag=1").body(archive);
    // Once made, it is not made again: an import has the time in it.
    let work = |daemon: &Longshored| {
        if !images(daemon).is_empty() {
            return true;
        }
        request.send(&daemon.socket()).is_ok_and(|answer| answer.text().contains("sha256:"))
    };
    at_every_step(work, |daemon| {
        for image in images(daemon) {
            assert_eq!(image["RepoTags"], json!(["a:1"]));
        }
        assert_accounted(daemon);
    });
}
