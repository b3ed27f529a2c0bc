//! Pushes, read back by skopeo.

use std::{collections::BTreeMap, fs, path::Path, sync::Mutex};

use longshore_archive::diff;
use longshore_image::{Images, PullOptions, PushOptions, Pushed, Result, SaveOptions};
use longshore_store::{FormKind, LayerFacts, NewImage, Options, Prepared, Store, Target};
use longshore_types::{
    Algorithm, DiffId, Digest, Hasher, ImageId, Platform, ProgressEvent, Reference, progress::Silent,
};
use testkit::{images, registry::Registry, tool};

use crate::bed::{Bed, name, pull, pull_watched, service};

async fn push(images: &Images, text: &str) -> Result<Pushed> {
    images.push(&name(text), &PushOptions::default(), &Silent).await
}

async fn push_watched(images: &Images, text: &str, options: &PushOptions) -> (Result<Pushed>, Vec<String>) {
    let said = Mutex::new(Vec::new());
    let sink = |event: ProgressEvent| {
        if event.status.amounts().is_none() {
            let id = if event.id.is_empty() { String::new() } else { format!("{}: ", event.id) };
            said.lock().expect("a list").push(format!("{id}{}", event.status));
        }
    };
    let pushed = images.push(&name(text), options, &sink).await;
    (pushed, said.into_inner().expect("a list"))
}

/// Gives what one name stands for another name too.
fn tag(images: &Images, from: &str, to: &str) -> Reference {
    let (from, to) = (name(from), name(to));
    let target = images.store().tagged(&from).expect("read").expect("a tag");
    images.store().tag(&to, target).expect("tagged");
    to
}

/// What skopeo gets of a name.
fn raw(image: &str) -> Vec<u8> {
    let memory = tempfile::tempdir().expect("a directory");
    let mut command = tool::skopeo("inspect", memory.path());
    tool::output(command.args(["--raw", &format!("docker://{image}")]))
}

/// Skopeo reads all of an image, and verifies each digest.
fn read_back(image: &str, all: bool) {
    let memory = tempfile::tempdir().expect("a directory");
    let copy = memory.path().join("copy");
    let mut command = tool::skopeo("copy", memory.path());
    if all {
        command.arg("--all");
    }
    tool::run(command.args([format!("docker://{image}"), format!("dir:{}", copy.display())]));
}

#[tokio::test]
async fn every_form_is_pushed_with_the_digest_that_it_had() {
    let (from, to) = (images::ready().registry(), Registry::start());
    let bed = Bed::new();
    let images = bed.images();
    for form in ["lib/docker:1", "lib/oci:1", "lib/zstd:1", "lib/plain:1", "lib/built:1", "lib/corpus-zstd:1"]
    {
        pull(&images, &from.image(form)).await.expect("pulled");
        let there = to.image(form);
        tag(&images, &from.image(form), &there);
        let pushed = push(&images, &there).await.unwrap_or_else(|error| panic!("{form}: {}", error.line()));
        let original = raw(&from.image(form));
        assert_eq!(raw(&there), original, "{form}");
        assert_eq!((pushed.digest.clone(), pushed.size), (Digest::of(&original), original.len() as u64));
        read_back(&there, false);
        assert!(images.store().has_repo_digest(&name(&there).with_digest(pushed.digest)).expect("read"));
    }
}

#[tokio::test]
async fn what_is_said_is_what_docker_says() {
    let registry = images::ready().registry();
    let bed = Bed::new();
    let images = bed.images();
    let pulled = pull(&images, &registry.image("lib/oci:1")).await.expect("pulled");
    let layers = images.store().image(&pulled.image).expect("read").expect("an image").layers;
    let id = layers[0].0.short();
    let other = Registry::start();
    for (there, word) in [
        (other.image("new/app:2"), "Pushed"),
        (other.image("new/app:2"), "Layer already exists"),
        (other.image("new/app:3"), "Layer already exists"),
        (registry.image("new/app:2"), "Mounted from lib/oci"),
    ] {
        let reference = tag(&images, &registry.image("lib/oci:1"), &there);
        let (pushed, said) = push_watched(&images, &there, &PushOptions::default()).await;
        let pushed = pushed.expect("pushed");
        assert_eq!(
            said,
            [
                format!("The push refers to repository [{}]", reference.repository()),
                format!("{id}: Preparing"),
                format!("{id}: {word}"),
                format!(
                    "{}: digest: {} size: {}",
                    reference.tag().expect("a tag"),
                    pushed.digest,
                    pushed.size
                ),
            ],
        );
    }
}

#[tokio::test]
async fn an_index_is_pushed_whole_or_as_the_one_image_that_is_here() {
    let (from, to) = (images::ready().registry(), Registry::start());
    let bed = Bed::new();
    let images = bed.images();
    let here = from.image("lib/multi:1");
    let pull_for = |architecture: &str| PullOptions {
        platform: Some(Platform::new("linux", architecture)),
        ..PullOptions::default()
    };
    let own = pull_watched(&images, &here, &pull_for("amd64")).await.0.expect("pulled");
    let one = to.image("multi:one");
    tag(&images, &here, &one);
    let pushed = push(&images, &one).await.expect("pushed");
    assert_ne!(pushed.digest, own.digest);
    assert!(pushed.warnings[0].starts_with("Not all multiplatform-content is present"));
    read_back(&one, false);

    pull_watched(&images, &here, &pull_for("arm64")).await.0.expect("pulled");
    let two = to.image("multi:two");
    tag(&images, &here, &two);
    let error = push(&images, &two).await.expect_err("one is missing");
    assert!(error.line().contains("linux/arm/v7 are not here"), "{}", error.line());
    let options = PushOptions { platform: Some(Platform::new("linux", "arm64")), ..PushOptions::default() };
    push_watched(&images, &two, &options).await.0.expect("one platform");
    read_back(&two, false);

    pull_watched(&images, &here, &pull_for("arm")).await.0.expect("pulled");
    let all = to.image("multi:all");
    tag(&images, &here, &all);
    let pushed = push(&images, &all).await.expect("pushed");
    assert_eq!(pushed.digest, own.digest);
    assert_eq!(raw(&all), raw(&here));
    read_back(&all, true);
    // To where it came from, nothing is missing.
    let other = Bed::new();
    let images = other.images();
    pull(&images, &here).await.expect("pulled");
    assert_eq!(push(&images, &here).await.expect("pushed").digest, own.digest);
}

#[tokio::test]
async fn names_that_cannot_be_pushed() {
    let registry = images::ready().registry();
    let bed = Bed::new();
    let images = bed.images();
    let nosuch = registry.image("nosuch");
    let error = push(&images, &nosuch).await.expect_err("none");
    assert_eq!(error.line(), format!("An image does not exist locally with the tag: {nosuch}"));
    let here = registry.image("lib/oci:1");
    let pulled = pull(&images, &here).await.expect("pulled");
    let other = registry.image("lib/oci:2");
    let error = push(&images, &other).await.expect_err("none");
    assert_eq!(error.line(), format!("tag does not exist: {other}"));
    let digest = format!("{}@{}", registry.image("lib/oci"), pulled.digest);
    let error = push(&images, &digest).await.expect_err("a digest");
    assert_eq!(error.line(), "cannot push a digest reference");
}

#[tokio::test]
async fn blobs_that_were_dropped_are_fetched_again() {
    let (from, to) = (images::ready().registry(), Registry::start());
    let bed = Bed::new();
    let options = Options { keep_compressed: false, ..Options::default() };
    let (store, _) = Store::open(bed.root(), options).expect("a store");
    let images = service(store);
    let here = from.image("lib/built:1");
    let pulled = pull(&images, &here).await.expect("pulled");
    let image = images.store().image(&pulled.image).expect("read").expect("an image");
    for layer in &image.layers {
        let layer = images.store().layer(layer).expect("read").expect("a layer");
        let kinds = layer.facts.forms.iter().map(|form| {
            let is_here = images.store().has_blob(&form.digest).expect("read");
            assert_eq!(is_here, form.kind == FormKind::Recipe, "{form:?}");
            form.kind
        });
        assert_eq!(kinds.filter(|kind| *kind == FormKind::Recipe).count(), 1);
    }
    let mut saved = Vec::new();
    images
        .save(std::slice::from_ref(&here), &SaveOptions::default(), &mut saved)
        .expect("saved without them");
    let there = to.image("built:1");
    tag(&images, &here, &there);
    assert_eq!(push(&images, &there).await.expect("pushed").digest, pulled.digest);
    read_back(&there, false);
}

/// An image as a build makes it: a layer's directory and a configuration, no manifest.
fn made_here(store: &Store, work: &Path) -> ImageId {
    fs::create_dir_all(work).expect("a directory");
    let layer = store.begin_layer().expect("a layer");
    let dir = layer.dir().try_clone_to_owned().expect("a descriptor");
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir));
    fs::write(Path::new(&path).join("made"), b"here".repeat(100_000)).expect("a file");
    let mut tar = Vec::new();
    let written = diff::write_layer(std::os::fd::AsFd::as_fd(&dir), &mut tar).expect("a tar");
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(&tar);
    let diff_id = DiffId(hasher.finish());
    let facts = LayerFacts {
        bytes: written.bytes,
        inodes: written.inodes,
        tar_bytes: written.tar_bytes,
        ..LayerFacts::default()
    };
    let layer = layer.prepare(diff_id.clone(), facts).expect("prepared");
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/made"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let config = store.prepare_blob(config.to_string().as_bytes()).expect("a configuration");
    let id = ImageId(config.digest().clone());
    let image = NewImage {
        id: id.clone(),
        layers: vec![diff_id],
        platform: Platform::new("linux", "amd64"),
        created: None,
        labels: BTreeMap::new(),
        parent: None,
    };
    store
        .commit_all(vec![Prepared::Layer(layer), Prepared::Blob(config), Prepared::Image(image)])
        .expect("committed");
    id
}

#[tokio::test]
async fn an_image_made_here_gets_a_compressed_form_once() {
    let registry = Registry::start();
    let bed = Bed::new();
    let images = bed.images();
    let id = made_here(images.store(), &bed.beside("work"));
    let there = registry.image("made:1");
    images.store().tag(&name(&there), Target::Image(id.clone())).expect("tagged");
    let first = push(&images, &there).await.expect("pushed");
    read_back(&there, false);
    let manifest: serde_json::Value = serde_json::from_slice(&raw(&there)).expect("JSON");
    assert_eq!(manifest["config"]["digest"], id.0.as_str());
    let blob: Digest = manifest["layers"][0]["digest"].as_str().expect("text").parse().expect("a digest");
    assert!(images.store().has_blob(&blob).expect("read"));
    assert_eq!(push(&images, &there).await.expect("pushed").digest, first.digest);
    // Somebody else pulls it.
    let other = Bed::new();
    let pulled = pull(&other.images(), &there).await.expect("pulled");
    assert_eq!(pulled.image, id);
}
