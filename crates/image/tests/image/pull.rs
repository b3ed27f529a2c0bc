//! Pulls of images that other tools made, from a real registry.

use longshore_image::PullOptions;
use longshore_registry::{Account, Credentials};
use longshore_store::{State, Target};
use longshore_types::{ImageId, Platform};
use testkit::{
    images,
    registry::{Options, PASSWORD, Registry, USER},
    tool,
};

use crate::bed::{Bed, name, partials, pull, pull_watched};

/// What skopeo gets of a name.
fn raw(image: &str) -> Vec<u8> {
    let memory = tempfile::tempdir().expect("a directory");
    let mut command = tool::skopeo("inspect", memory.path());
    tool::output(command.args(["--raw", &format!("docker://{image}")]))
}

fn registry() -> Registry {
    images::ready().registry()
}

#[tokio::test]
async fn every_form_of_an_image_is_the_same_image() {
    let registry = registry();
    let mut ids = Vec::new();
    for form in ["lib/docker:1", "lib/oci:1", "lib/zstd:1", "lib/plain:1"] {
        let bed = Bed::new();
        let images = bed.images();
        let full = registry.image(form);
        let pulled = pull(&images, &full).await.unwrap_or_else(|error| panic!("{form}: {}", error.line()));
        let manifest = raw(&full);
        assert_eq!(pulled.digest, longshore_types::Digest::of(&manifest), "{form}");
        let store = images.store();
        assert_eq!(store.read_blob(&pulled.digest, 1 << 20).expect("kept"), manifest, "{form}");
        let image = store.image(&pulled.image).expect("read").expect("an image");
        assert_eq!(image.state, State::Complete);
        let layer = store.layer(&image.layers[0]).expect("read").expect("a layer");
        let file = store.layer_path(&layer).join("bin/busybox");
        assert_eq!(std::fs::read(file).expect("a file"), std::fs::read("/bin/busybox").expect("a file"));
        assert_eq!(layer.facts.forms.len(), 1);
        assert!(store.has_blob(&layer.facts.forms[0].digest).expect("read"));
        assert_eq!(store.tagged(&name(&full)).expect("read"), Some(Target::Manifest(pulled.digest.clone())));
        assert_eq!(store.repo_digests(&image.id).expect("read"), [name(&full).with_digest(pulled.digest)]);
        assert_eq!(partials(&images), []);
        ids.push(pulled.image);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn other_tools_read_the_store() {
    let registry = registry();
    let bed = Bed::new();
    let images = bed.images();
    // Not one of Docker's: this skopeo knows only OCI's in a layout.
    let full = registry.image("lib/corpus:1");
    pull(&images, &full).await.expect("pulled");
    let layout = format!("oci:{}:{full}", images.store().layout().display());
    let memory = tempfile::tempdir().expect("a directory");
    let mut command = tool::skopeo("inspect", memory.path());
    assert_eq!(tool::output(command.args(["--raw", &layout])), raw(&full));
}

#[tokio::test]
async fn every_image_is_pulled_into_one_store() {
    let registry = registry();
    let bed = Bed::new();
    let images = bed.images();
    for form in images::ALL.iter().filter(|form| **form != "lib/foreign:1") {
        let full = registry.image(form);
        pull(&images, &full).await.unwrap_or_else(|error| panic!("{form}: {}", error.line()));
        assert!(images.store().tagged(&name(&full)).expect("read").is_some());
    }
    drop(images);
    let (images, recovery) = bed.open();
    assert!(recovery.is_clean(), "{recovery:?}");
    assert!(images.store().images().expect("images").iter().all(|image| image.state == State::Complete));
}

#[tokio::test]
async fn what_is_said_is_what_docker_says() {
    let registry = registry();
    let bed = Bed::new();
    let images = bed.images();
    let full = registry.image("lib/oci:1");
    let (pulled, said) = pull_watched(&images, &full, &PullOptions::default()).await;
    let pulled = pulled.expect("pulled");
    assert!(pulled.newer);
    let manifest: serde_json::Value = serde_json::from_slice(&raw(&full)).expect("JSON");
    let layer = &manifest["layers"][0]["digest"].as_str().expect("a digest")["sha256:".len()..][..12];
    assert_eq!(
        said,
        [
            "1: Pulling from lib/oci".to_owned(),
            format!("{layer}: Pulling fs layer"),
            format!("{layer}: Verifying Checksum"),
            format!("{layer}: Download complete"),
            format!("{layer}: Pull complete"),
            format!("Digest: {}", pulled.digest),
            format!("Status: Downloaded newer image for {full}"),
        ]
    );
    let (again, said) = pull_watched(&images, &full, &PullOptions::default()).await;
    assert!(!again.expect("pulled").newer);
    assert_eq!(
        said,
        [
            "1: Pulling from lib/oci".to_owned(),
            format!("Digest: {}", pulled.digest),
            format!("Status: Image is up to date for {full}"),
        ]
    );
    let (other, said) = pull_watched(&images, &registry.image("lib/docker:1"), &PullOptions::default()).await;
    assert!(other.expect("pulled").newer);
    // The image is here already: Docker says nothing of its layers.
    assert!(said[1].starts_with("Digest: "), "{said:?}");
    let by_digest = format!("{}@{}", registry.image("lib/oci"), pulled.digest);
    let (_, said) = pull_watched(&images, &by_digest, &PullOptions::default()).await;
    assert_eq!(said[0], format!("{by_digest}: Pulling from lib/oci"));
    assert_eq!(said[2], format!("Status: Image is up to date for {by_digest}"));
}

#[tokio::test]
async fn an_index_names_every_platform_that_was_pulled() {
    let registry = registry();
    let bed = Bed::new();
    let images = bed.images();
    for list in ["lib/multi:1", "lib/list:1"] {
        let full = registry.image(list);
        let own = pull(&images, &full).await.expect("pulled");
        let options =
            PullOptions { platform: Some(Platform::new("linux", "arm64")), ..PullOptions::default() };
        let other = pull_watched(&images, &full, &options).await.0.expect("pulled");
        assert_eq!(own.digest, other.digest);
        assert_ne!(own.image, other.image);
        let image = images.store().image(&other.image).expect("read").expect("an image");
        assert_eq!(image.platform.architecture, "arm64");
        let resolved = images.store().resolve(&full).expect("resolved");
        let both = |id: &ImageId| resolved.images.contains(id);
        assert!(both(&own.image) && both(&other.image), "{resolved:?}");
        for id in [&own.image, &other.image] {
            assert!(
                images
                    .store()
                    .repo_digests(id)
                    .expect("read")
                    .contains(&name(&full).with_digest(own.digest.clone()))
            );
        }
        assert!(own.warnings.is_empty());
    }
    let error = pull(&images, &registry.image("lib/foreign:1")).await.expect_err("no such platform");
    assert_eq!(error.line(), "no matching manifest for linux/amd64 in the manifest list entries");
}

#[tokio::test]
async fn a_manifest_of_another_platform_is_pulled_with_a_warning() {
    let registry = registry();
    let bed = Bed::new();
    let options = PullOptions { platform: Some(Platform::new("linux", "s390x")), ..PullOptions::default() };
    let pulled = pull_watched(&bed.images(), &registry.image("lib/oci:1"), &options).await.0.expect("pulled");
    assert_eq!(pulled.warnings.len(), 1);
    assert!(pulled.warnings[0].contains("(linux/amd64) does not match the wanted platform (linux/s390x)"));
}

#[tokio::test]
async fn a_tag_that_moved_leaves_the_old_image_without_it() {
    let registry = registry();
    let bed = Bed::new();
    let images = bed.images();
    let moving = registry.image("lib/moving:1");
    let copy = |from: &str| {
        let memory = tempfile::tempdir().expect("a directory");
        let (from, to) = (format!("docker://{}", registry.image(from)), format!("docker://{moving}"));
        tool::run(tool::skopeo("copy", memory.path()).args([from, to]));
    };
    copy("lib/oci:1");
    let old = pull(&images, &moving).await.expect("pulled");
    copy("lib/built:1");
    let new = pull(&images, &moving).await.expect("pulled");
    assert!(new.newer && new.image != old.image);
    let store = images.store();
    assert_eq!(store.tags_of(&old.image).expect("read"), []);
    assert_eq!(store.repo_digests(&old.image).expect("read"), [name(&moving).with_digest(old.digest)]);
    assert_eq!(store.resolve(&moving).expect("resolved").images, [new.image]);
}

#[tokio::test]
async fn a_registry_that_wants_a_password() {
    let registry = images::ready().registry_with(Options { login: true, ..Options::default() });
    let bed = Bed::new();
    let images = bed.images();
    let full = registry.image("lib/oci:1");
    let error = pull(&images, &full).await.expect_err("nobody");
    assert!(error.line().ends_with("no basic auth credentials"), "{}", error.line());
    let account =
        Account::Password { user: USER.to_owned(), password: longshore_registry::Secret::new(PASSWORD) };
    let options = PullOptions { credentials: Credentials::Given(account), ..PullOptions::default() };
    pull_watched(&images, &full, &options).await.0.expect("pulled");
}
