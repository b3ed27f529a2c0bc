//! What load, remove, prune and commit leave when the process is killed, or the disk fails or is full, at any step.
//!
//! The work is done by a child: this test binary again, with `LONGSHORE_STORE_FAILPOINT` set.

use std::{io::Write, process::Command};

use longshore_image::{Changed, CommitOptions, Filters, Images, Nobody, PruneOptions, RemoveOptions};
use longshore_store::{Life, Options, State, Store};

use super::{
    Place,
    archive::{Image, docker, packed, tar},
    load, loaded, service,
};

fn archive() -> Vec<u8> {
    let big: Vec<u8> =
        (0..80_000_u32).flat_map(|at| (at.wrapping_mul(2_654_435_761)).to_le_bytes()).take(80_000).collect();
    let base = tar(&[("a", &big), ("d/b", b"b")]);
    let first = Image::new(&["a:1"], std::slice::from_ref(&base), 1);
    let second = Image::new(&["b:1"], &[base, tar(&[("d/c", b"c")])], 2).on(&first);
    docker(&[first, second])
}

/// Does one thing in the child.
fn act(verb: &str, images: &Images) -> Result<(), longshore_image::Error> {
    match verb {
        "load" => load(images, &archive()).0.map(drop),
        "load-gzip" => load(images, &packed("gzip", &archive())).0.map(drop),
        "remove" => images.remove("b:1", RemoveOptions::default(), &Nobody).map(drop),
        "prune" => {
            let filters = Filters::parse(r#"{"dangling":["false"]}"#).expect("filters");
            images.prune(&PruneOptions { filters, ..PruneOptions::default() }, &Nobody).map(drop)
        }
        _ => {
            let parent = images.find("a:1", None)?;
            let layers = images.store().image(&parent)?.expect("there").layers;
            let snapshot = images.store().snapshot(&layers, "build", Life::Process)?;
            std::fs::write(snapshot.upper_path().join("new"), b"new").expect("a file");
            let changed = if verb == "commit" {
                Changed::Snapshot(snapshot)
            } else {
                Changed::Upper(snapshot.upper()?)
            };
            let options =
                CommitOptions { parent: Some(parent), repository: "made".into(), ..CommitOptions::default() };
            images.commit(changed, &options).map(drop)
        }
    }
}

#[test]
#[ignore = "the child of the other tests"]
fn child() {
    let (Some(root), Ok(verb)) =
        (std::env::var_os("LONGSHORE_TEST_ROOT"), std::env::var("LONGSHORE_TEST_VERB"))
    else {
        return;
    };
    let done = Store::open(root, Options::default())
        .map_err(Into::into)
        .and_then(|(store, _)| act(&verb, &service(store)));
    let mut out = std::io::stdout();
    match done {
        Ok(()) => writeln!(out, "\nack").expect("written"),
        Err(error) => panic!("{}", error.line()),
    }
}

/// The tags that are there before and after.
fn expected(verb: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match verb {
        "load" | "load-gzip" => (&[], &["a:1", "b:1"]),
        "remove" => (&["a:1", "b:1"], &["a:1"]),
        "prune" => (&["a:1", "b:1"], &[]),
        _ => (&["a:1", "b:1"], &["a:1", "b:1", "made:latest"]),
    }
}

fn at_every_step(verb: &str, action: &str) {
    let (before, after) = expected(verb);
    for step in 1.. {
        let place = Place::new();
        if !before.is_empty() {
            loaded(&place.images(), &archive());
        }
        let log = place.beside("steps");
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "local::crash::child", "--nocapture", "--test-threads=1"])
            .env("LONGSHORE_TEST_ROOT", place.root())
            .env("LONGSHORE_TEST_VERB", verb)
            .env("LONGSHORE_STORE_FAILPOINT", format!("{action}@{step}"))
            .env("LONGSHORE_STORE_FAILPOINT_LOG", &log)
            .output()
            .expect("a child");
        let steps = std::fs::read_to_string(&log).unwrap_or_default().lines().count();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let context = format!("{verb} {action}@{step}: {said}");
        let (store, recovery) = Store::open(place.root(), Options::default()).expect("it opens");
        assert_eq!(recovery.damaged, Vec::<String>::new(), "{context}");
        let images = service(store);
        let tags: Vec<_> =
            images.store().tags().expect("tags").iter().map(|tag| tag.name.familiar()).collect();
        let acknowledged = said.contains("\nack\n");
        let one_by_one = verb == "prune" && tags.iter().all(|tag| before.contains(&tag.as_str()));
        assert!(tags == after || (!acknowledged && (tags == before || one_by_one)), "{context}: {tags:?}");
        for image in images.store().images().expect("images") {
            assert_eq!(image.state, State::Complete, "{context}");
        }
        images.store().collect().expect("collected");
        images.store().wait_for_trash().expect("the trash");
        let ledger = images.store().ledger(std::time::Duration::ZERO).expect("a ledger");
        assert_eq!((ledger.unaccounted, ledger.partials), (0, 0), "{context}: {ledger:?}");
        // Steps of several threads: the last ones before a kill may be missing in the log.
        if steps < step && output.status.success() {
            assert!(acknowledged, "{context}");
            assert!(step > 3, "{context}: {steps} steps");
            return;
        }
        // It can be done again.
        if tags == before {
            act(verb, &images).unwrap_or_else(|error| panic!("{context}: again: {}", error.line()));
        }
    }
}

#[test]
fn load_killed_at_every_step() {
    at_every_step("load", "kill");
}

#[test]
fn load_failing_at_every_step() {
    at_every_step("load-gzip", "error");
}

#[test]
fn load_on_a_full_disk_from_every_step_on() {
    at_every_step("load", "full");
}

#[test]
fn remove_killed_at_every_step() {
    at_every_step("remove", "kill");
}

#[test]
fn prune_killed_at_every_step() {
    at_every_step("prune", "kill");
}

#[test]
fn commit_killed_at_every_step() {
    at_every_step("commit", "kill");
    at_every_step("commit-copy", "kill");
}
