//! What a pull leaves when the process is killed, or the disk fails or is full, at any step of the store.
//!
//! The pull is done by a child: this test binary again, with `LONGSHORE_STORE_FAILPOINT` set.

use std::{
    io::Write,
    process::{Command, Output},
};

use longshore_store::State;
use longshore_types::Digest;

use crate::{
    bed::{Bed, assert_accounted, assert_nothing_visible, pull},
    fake::{Fake, Image, noise, tar},
};

/// Runs in the child: pulls one image.
#[tokio::test]
#[ignore = "the child of the other tests"]
async fn child() {
    let (Some(root), Ok(name)) =
        (std::env::var_os("LONGSHORE_TEST_ROOT"), std::env::var("LONGSHORE_TEST_IMAGE"))
    else {
        return;
    };
    let (store, _) = longshore_store::Store::open(root, longshore_store::Options::default()).expect("open");
    let pulled = pull(&crate::bed::service(store), &name).await;
    let mut out = std::io::stdout();
    match pulled {
        Ok(_) => writeln!(out, "\nack pulled").expect("written"),
        Err(error) => {
            writeln!(out, "\nerror {}", error.line()).expect("written");
            panic!("{}", error.line());
        }
    }
}

fn run_child(bed: &Bed, image: &str, failpoint: &str) -> (Output, usize) {
    let log = bed.beside("steps");
    std::fs::remove_file(&log).ok();
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env("LONGSHORE_TEST_ROOT", bed.root())
        .env("LONGSHORE_TEST_IMAGE", image)
        .env("LONGSHORE_STORE_FAILPOINT", failpoint)
        .env("LONGSHORE_STORE_FAILPOINT_LOG", &log)
        .output()
        .expect("a child");
    let steps = std::fs::read_to_string(log).unwrap_or_default().lines().count();
    (output, steps)
}

fn image() -> Image {
    Image::of(&[tar(&[("a", &noise(1, 20_000)), ("dir/b", b"b")]), tar(&[("a", b"above")])])
}

/// Cuts a pull short at every step, and looks at what is left.
async fn at_every_step(action: &str) {
    let (fake, image) = (Fake::good(), image());
    let name = fake.add("1", &image);
    for step in 1.. {
        let bed = Bed::new();
        let (output, steps) = run_child(&bed, &name, &format!("{action}@{step}"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let context = format!("{action}@{step}: {said} {}", String::from_utf8_lossy(&output.stderr));
        let acknowledged = said.contains("ack pulled");
        let (images, recovery) = bed.open();
        assert_eq!(recovery.damaged, Vec::<String>::new(), "{context}");
        assert_complete_or_absent(&images, &image, acknowledged, &context);
        pull(&images, &name).await.unwrap_or_else(|error| panic!("{context}: again: {}", error.line()));
        assert_complete_or_absent(&images, &image, true, &context);
        images.store().wait_for_trash().expect("the trash");
        drop(images);
        let (images, recovery) = bed.open();
        assert!(recovery.is_clean(), "{context}: {recovery:?}");
        drop(images);
        // Steps of several threads: the last ones before a kill may be missing in the log.
        if steps < step && output.status.success() {
            // There was no such step: the pull went through.
            assert!(acknowledged, "{context}");
            assert!(step > 15, "a pull has {steps} steps");
            return;
        }
        assert!(action == "kill" || output.status.success() == acknowledged, "{context}");
    }
}

#[track_caller]
fn assert_complete_or_absent(
    images: &longshore_image::Images,
    image: &Image,
    acknowledged: bool,
    context: &str,
) {
    let store = images.store();
    assert_accounted(images);
    let found = store.images().expect("images");
    if found.is_empty() {
        assert!(!acknowledged, "{context}: it was acknowledged");
        assert_nothing_visible(images);
        return;
    }
    assert_eq!(found.len(), 1, "{context}");
    assert_eq!(found[0].state, State::Complete, "{context}");
    assert_eq!(store.read_blob(&image.digest(), 1 << 20).expect("the manifest"), image.manifest, "{context}");
    for (descriptor, content) in &image.blobs {
        let kept = store.read_blob(&descriptor.digest, 1 << 20).expect("a blob");
        assert_eq!(Digest::of(&kept), Digest::of(content), "{context}");
    }
    assert_eq!(store.tags().expect("tags").len(), 1, "{context}");
    let layer = store.layer(&found[0].layers[0]).expect("read").expect("a layer");
    assert_eq!(
        std::fs::read(store.layer_path(&layer).join("a")).expect("a file"),
        noise(1, 20_000),
        "{context}"
    );
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
