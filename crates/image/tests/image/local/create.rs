//! Commit, import and export.

use std::{collections::BTreeMap, os::fd::AsFd};

use longshore_image::{Changed, CommitOptions, Images, ImportOptions};
use longshore_store::{Access, Life};
use longshore_types::{oci::ContainerConfig, progress::Silent};

use super::{
    Place,
    archive::{Image, docker, packed, tar},
    loaded,
    save::{files, saved},
};

fn base(images: &Images) -> longshore_types::ImageId {
    let image = Image::new(&["base:1"], &[tar(&[("etc/a", b"a"), ("etc/b", b"b")])], 1);
    loaded(images, &docker(&[image]))[0].clone()
}

fn options(parent: &longshore_types::ImageId, tag: &str) -> CommitOptions {
    let container_config: ContainerConfig = serde_json::from_value(serde_json::json!({
        "Env": ["PATH=/bin", "A=1"], "Cmd": ["sh"], "Labels": {"x": "y"}, "Hostname": "d00d47656dd0", "User": "1000",
    }))
    .expect("a configuration");
    CommitOptions {
        parent: Some(parent.clone()),
        container_config,
        changes: vec!["ENV A=2 B=$PATH".into(), "LABEL z=w".into()],
        author: "me".into(),
        comment: "because".into(),
        created_by: "sh -c true".into(),
        container: "d00d47656dd0".repeat(6)[..64].into(),
        repository: tag.into(),
        ..CommitOptions::default()
    }
}

#[test]
fn a_snapshot_becomes_a_layer() {
    let place = Place::new();
    let images = place.images();
    let parent = base(&images);
    for consumed in [true, false] {
        let layers = images.store().image(&parent).expect("read").expect("there").layers;
        let snapshot =
            images.store().snapshot(&layers, "container web", Life::Persistent).expect("a snapshot");
        let upper = snapshot.upper_path();
        std::fs::create_dir(upper.join("etc")).expect("a directory");
        std::fs::write(upper.join("etc/c"), b"new").expect("a file");
        let changed = if consumed {
            Changed::Snapshot(snapshot)
        } else {
            Changed::Upper(snapshot.upper().expect("a directory"))
        };
        let id = images
            .commit(changed, &options(&parent, "made"))
            .unwrap_or_else(|error| panic!("{}", error.line()));
        let details = images.inspect("made", None).expect("details");
        assert_eq!(details.id, id);
        assert_eq!(details.parent.as_ref(), Some(&parent));
        assert_eq!(details.layers.len(), 2);
        assert_eq!(details.layers[1].bytes, 3);
        assert_eq!(details.config.config.env, ["PATH=/bin", "A=2", "B=/bin"]);
        assert_eq!(details.config.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
        assert_eq!(details.config.config.user, "1000");
        assert_eq!(details.config.config.labels.len(), 2);
        assert_eq!((details.comment(), details.config.author.as_str()), ("because", "me"));
        assert_eq!(details.container().len(), 64);
        assert_eq!(upper.exists(), !consumed);
        let steps = images.history("made", None).expect("a history");
        assert_eq!(
            steps.iter().map(|step| (step.created_by.as_str(), step.size)).collect::<Vec<_>>(),
            [("sh -c true", 3), ("step 0", 2)]
        );
        assert_eq!(steps[1].id.as_ref(), Some(&parent));
        // It can be saved without having a tar.
        let other = Place::new();
        assert_eq!(loaded(&other.images(), &saved(&images, &["made"])), [id]);
    }
    images.store().collect().expect("collected");
    assert_eq!(images.store().ledger(std::time::Duration::ZERO).expect("a ledger").unaccounted, 0);
}

#[test]
fn nothing_written_is_no_layer() {
    let place = Place::new();
    let images = place.images();
    let parent = base(&images);
    let layers = images.store().image(&parent).expect("read").expect("there").layers;
    let snapshot = images.store().snapshot(&layers, "build", Life::Process).expect("a snapshot");
    images
        .commit(Changed::Upper(snapshot.upper().expect("a directory")), &options(&parent, "same"))
        .expect("committed");
    images.commit(Changed::Snapshot(snapshot), &options(&parent, "same")).expect("committed");
    let details = images.inspect("same", None).expect("details");
    assert_eq!(details.layers.len(), 1);
    assert!(details.config.history.last().expect("a step").empty_layer);
}

#[test]
fn names_and_changes_are_checked_first() {
    let place = Place::new();
    let images = place.images();
    let parent = base(&images);
    let count = images.store().images().expect("images").len();
    for (repository, change, message) in [
        ("UPPER", "", "invalid reference format: repository name"),
        ("ok", "RUN x", "run is not a valid change command"),
    ] {
        let snapshot = images.store().snapshot(&[], "build", Life::Process).expect("a snapshot");
        let mut options = options(&parent, repository);
        options.changes = vec![change.into()];
        let error = images.commit(Changed::Snapshot(snapshot), &options).expect_err(message).line();
        assert!(error.starts_with(message), "{error}");
    }
    assert_eq!(images.store().images().expect("images").len(), count);
}

#[test]
fn import_and_export() {
    let archive = tar(&[("etc/a", b"a"), ("b", b"bb")]);
    for (tool, archive) in [
        ("", archive.clone()),
        ("gzip", packed("gzip", &archive)),
        ("bzip2", packed("bzip2", &archive)),
        ("xz", packed("xz", &archive)),
        ("zstd", packed("zstd", &archive)),
    ] {
        let place = Place::new();
        let images = place.images();
        let options = ImportOptions {
            repository: "made".into(),
            tag: "1".into(),
            source: "-".into(),
            changes: vec!["ENV A=b".into(), "CMD [\"/x\"]".into()],
            ..ImportOptions::default()
        };
        let id = images
            .import(archive.as_slice(), &options, &Silent)
            .unwrap_or_else(|error| panic!("{tool}: {}", error.line()));
        let details = images.inspect("made:1", None).expect("details");
        assert_eq!((details.id.clone(), details.comment()), (id.clone(), "Imported from -"));
        assert_eq!(details.sizes.total, 3);
        assert_eq!(details.config.config.env, ["A=b"]);
        assert_eq!(details.config.history.len(), 1);
        let mut out = Vec::new();
        images.export_image("made:1", None, &mut out).expect("exported");
        let found: BTreeMap<_, _> = files(&out).into_iter().collect();
        assert_eq!(found["etc/a"], b"a");
        assert_eq!(found["b"], b"bb");
        let mut again = Vec::new();
        let layers = images.store().image(&id).expect("read").expect("there").layers;
        let snapshot = images.store().snapshot(&layers, "container", Life::Process).expect("a snapshot");
        let root = snapshot.mount(Access::ReadOnly).expect("a mount");
        images.export(root.as_fd(), &mut again).expect("exported");
        assert_eq!(again, out, "the same bytes");
        let other = Place::new();
        assert_eq!(loaded(&other.images(), &saved(&images, &["made:1"])), [id]);
    }
}

#[test]
fn imports_that_are_refused() {
    let place = Place::new();
    let images = place.images();
    let archive = tar(&[("a", b"a")]);
    let digest = format!("x@sha256:{}", "0".repeat(64));
    for (repository, change, message) in [
        ("UPPER", "", "invalid reference format: repository name"),
        (digest.as_str(), "", "cannot import digest reference"),
        ("x", "bogus y", "bogus is not a valid change command"),
    ] {
        let options = ImportOptions {
            repository: repository.into(),
            changes: vec![change.into()],
            ..ImportOptions::default()
        };
        let error = images.import(archive.as_slice(), &options, &Silent).expect_err(message).line();
        assert!(error.starts_with(message), "{error}");
    }
    let options = ImportOptions::default();
    assert!(images.import(&b"garbage, and more of it"[..], &options, &Silent).is_err());
    super::assert_nothing(&images);
    // Nothing is an image with an empty layer.
    let id = images.import(&b""[..], &options, &Silent).expect("imported");
    assert_eq!(images.inspect(&id.to_string(), None).expect("details").layers.len(), 1);
}
