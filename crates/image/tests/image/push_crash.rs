//! What a push leaves when the process is killed, or the disk fails or is full, at any step of the store.
//!
//! The image was made here, so the push makes its compressed layers and its manifest, and keeps them. The work is done
//! by a child: this test binary again, with `LONGSHORE_STORE_FAILPOINT` set. The registry is a real one.

use std::{collections::BTreeSet, io::Write, process::Command};

use longshore_image::{PushOptions, Pushed, Result};
use longshore_store::{Options, State, Store};
use longshore_types::progress::Silent;
use testkit::registry::Registry;

use crate::{
    bed::{Bed, assert_accounted, name, service},
    fake::noise,
    local::{
        archive::{Image, docker, tar},
        loaded,
    },
};

fn open(bed: &Bed) -> (longshore_image::Images, longshore_store::Recovery) {
    let (store, recovery) = Store::open(bed.root(), Options::default()).expect("it opens");
    (service(store), recovery)
}

async fn push(images: &longshore_image::Images, to: &str) -> Result<Pushed> {
    images.push(&name(to), &PushOptions::default(), &Silent).await
}

#[tokio::test]
#[ignore = "the child of the other tests"]
async fn child() {
    let (Some(root), Ok(to)) =
        (std::env::var_os("LONGSHORE_TEST_ROOT"), std::env::var("LONGSHORE_TEST_NAME"))
    else {
        return;
    };
    let (store, _) = Store::open(root, Options::default()).expect("open");
    match push(&service(store), &to).await {
        Ok(pushed) => writeln!(std::io::stdout(), "\nack {}", pushed.digest).expect("written"),
        Err(error) => panic!("{}", error.line()),
    }
}

async fn at_every_step(action: &str) {
    let registry = Registry::start();
    let layers = [tar(&[("a", &noise(1, 60_000)), ("d/b", b"b")]), tar(&[("d/c", &noise(2, 300))])];
    let archive = docker(&[Image::new(&["a:1"], &layers, 1)]);
    let mut digests = BTreeSet::new();
    for step in 1.. {
        let bed = Bed::new();
        // A repository of its own: nothing is there yet.
        let to = registry.image(&format!("{action}{step}/app:1"));
        {
            let (images, _) = open(&bed);
            loaded(&images, &archive);
            let target = images.store().tagged(&name("a:1")).expect("read").expect("a tag");
            images.store().tag(&name(&to), target).expect("tagged");
        }
        let log = bed.beside("steps");
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "push_crash::child", "--nocapture", "--test-threads=1"])
            .env("LONGSHORE_TEST_ROOT", bed.root())
            .env("LONGSHORE_TEST_NAME", &to)
            .env("LONGSHORE_STORE_FAILPOINT", format!("{action}@{step}"))
            .env("LONGSHORE_STORE_FAILPOINT_LOG", &log)
            .output()
            .expect("a child");
        let steps = std::fs::read_to_string(log).unwrap_or_default().lines().count();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let context = format!("{action}@{step}: {said}");
        let acknowledged = said.contains("\nack sha256:");
        assert!(action == "kill" || output.status.success() == acknowledged, "{context}");
        let (images, recovery) = open(&bed);
        assert_eq!(recovery.damaged, Vec::<String>::new(), "{context}");
        let found = images.store().images().expect("images");
        assert!(found.len() == 1 && found[0].state == State::Complete, "{context}: {found:?}");
        assert_eq!(images.store().tags().expect("tags").len(), 2, "{context}");
        assert_accounted(&images);
        // What was made before the end stays or not; either way the same is pushed.
        let pushed =
            push(&images, &to).await.unwrap_or_else(|error| panic!("{context}: again: {}", error.line()));
        digests.insert(pushed.digest);
        assert_eq!(digests.len(), 1, "{context}");
        assert_accounted(&images);
        let ledger = images.store().ledger(std::time::Duration::ZERO).expect("a ledger");
        assert_eq!((ledger.partials, ledger.staged), (0, 0), "{context}: {ledger:?}");
        drop(images);
        let (_, recovery) = open(&bed);
        assert!(recovery.is_clean(), "{context}: {recovery:?}");
        if steps < step && output.status.success() {
            assert!(acknowledged, "{context}");
            assert!(step > 10, "{context}: {steps} steps");
            return;
        }
    }
}

#[tokio::test]
async fn killed_at_every_step() {
    at_every_step("kill").await;
}

#[tokio::test]
async fn failing_at_every_step() {
    at_every_step("error").await;
}

#[tokio::test]
async fn full_from_every_step_on() {
    at_every_step("full").await;
}
