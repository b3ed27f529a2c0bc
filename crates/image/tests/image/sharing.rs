//! C5 73: several who want the same, and some who leave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use longshore_image::PullOptions;
use longshore_types::{Digest, ProgressEvent, Status, oci::media_type};
use serde_json::json;

use crate::{
    bed::{Bed, assert_nothing_visible, partials, pull},
    fake::{Answer, Fake, Image, Request, noise, tar},
};

fn layer() -> Vec<u8> {
    tar(&[("a", &noise(1, 3 << 20)), ("b", b"small")])
}

/// A registry whose first answer for the blob waits half-way.
fn gated(blob: &Digest) -> Fake {
    let blob = blob.clone();
    Fake::start(move |request| {
        if request.is_blob(&blob) && request.before == 0 { Answer::Gate(1 << 20) } else { Answer::Good }
    })
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "it never came to that");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until the blob is asked for.
async fn until_asked(fake: &Fake, blob: &Digest) {
    until(|| !fake.downloads(blob).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c5_73_fifty_pulls_are_one_download_and_49_leave() {
    let layer = layer();
    let blob = Digest::of(&layer);
    let fake = gated(&blob);
    let bed = Bed::new();
    let images = bed.images();
    // Different images that have the layer in common.
    let names: Vec<_> = (0..50)
        .map(|number| {
            let config = json!({"Env": [format!("N={number}")]});
            let image = Image::with(
                vec![(media_type::OCI_LAYER, layer.clone())],
                std::slice::from_ref(&blob),
                &config,
            );
            fake.add(&number.to_string(), &image)
        })
        .collect();
    // The one that stays says when it waits for the layer like the others.
    let joined = Arc::new(AtomicBool::new(false));
    let last = tokio::spawn({
        let (images, name, joined) = (images.clone(), names[49].clone(), Arc::clone(&joined));
        async move {
            let sink = |event: ProgressEvent| {
                if matches!(event.status, Status::Downloading { .. }) {
                    joined.store(true, Ordering::SeqCst);
                }
            };
            images.pull(&crate::bed::name(&name), &PullOptions::default(), &sink).await
        }
    });
    let tasks: Vec<_> = names[..49]
        .iter()
        .map(|name| {
            let (images, name) = (images.clone(), name.clone());
            tokio::spawn(async move { pull(&images, &name).await })
        })
        .collect();
    until(|| joined.load(Ordering::SeqCst)).await;
    // All have their manifest and their configuration.
    let asked = |request: &&Request| request.path.contains("/blobs/") && !request.is_blob(&blob);
    until(|| fake.log().iter().filter(asked).count() >= 50).await;
    for task in &tasks {
        task.abort();
    }
    for task in tasks {
        assert!(task.await.expect_err("aborted").is_cancelled());
    }
    fake.open_gate();
    last.await.expect("a task").expect("pulled");
    assert_eq!(fake.downloads(&blob).len(), 1);
    assert_eq!(images.store().images().expect("images").len(), 1);
    assert_eq!(partials(&images), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c5_73_all_of_many_arrive() {
    let layer = layer();
    let blob = Digest::of(&layer);
    let fake = gated(&blob);
    let bed = Bed::new();
    let images = bed.images();
    let name = Arc::new(fake.add("1", &Image::of(&[layer])));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (images, name) = (images.clone(), Arc::clone(&name));
            tokio::spawn(async move { pull(&images, &name).await })
        })
        .collect();
    until_asked(&fake, &blob).await;
    fake.open_gate();
    for task in tasks {
        task.await.expect("a task").expect("pulled");
    }
    assert_eq!(fake.downloads(&blob).len(), 1);
    assert_eq!(partials(&images), []);
    assert_eq!(images.store().layers().expect("layers").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_have_left_it_stops_and_the_next_goes_on_from_there() {
    let layer = layer();
    let blob = Digest::of(&layer);
    let fake = gated(&blob);
    let bed = Bed::new();
    let images = bed.images();
    let name = fake.add("1", &Image::of(&[layer]));
    let task = tokio::spawn({
        let (images, name) = (images.clone(), name.clone());
        async move { pull(&images, &name).await }
    });
    // What comes is written half a megabyte at once.
    until(|| partials(&images).iter().any(|(_, length)| *length >= 512 << 10)).await;
    task.abort();
    assert!(task.await.expect_err("aborted").is_cancelled());
    pull(&images, &name).await.expect("the next one");
    let downloads = fake.downloads(&blob);
    assert_eq!(downloads.len(), 2);
    // Up to the gate, or what had come of it.
    assert!((512 << 10..=1 << 20).contains(&downloads[1].from), "{}", downloads[1].from);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_lies_about_a_layer_does_not_harm_one_that_does_not() {
    let layer = layer();
    let blob = Digest::of(&layer);
    let fake = gated(&blob);
    let bed = Bed::new();
    let images = bed.images();
    let liar = Image::with(vec![(media_type::OCI_LAYER, layer.clone())], &[Digest::of(b"lie")], &json!({}));
    let (liar, honest) = (fake.add("liar", &liar), fake.add("honest", &Image::of(&[layer])));
    let lying = tokio::spawn({
        let images = images.clone();
        async move { pull(&images, &liar).await }
    });
    until_asked(&fake, &blob).await;
    let truthful = tokio::spawn({
        let images = images.clone();
        async move { pull(&images, &honest).await }
    });
    fake.open_gate();
    lying.await.expect("a task").expect_err("a lie");
    truthful.await.expect("a task").expect("pulled");
}

#[tokio::test]
async fn a_name_that_never_was_leaves_nothing() {
    let (fake, bed) = (Fake::good(), Bed::new());
    let images = bed.images();
    let name = format!("{}/app:9", fake.host);
    let error = pull(&images, &name).await.expect_err("there is none");
    assert_eq!(error.line(), format!("manifest for {name} not found: manifest unknown: manifest unknown"));
    assert_nothing_visible(&images);
}
