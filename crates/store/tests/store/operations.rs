//! Operations for the crash tests: each can be begun on the store that [`prepare`] makes, and done again after it was
//! cut short. Each says on standard output what the store has acknowledged.

use std::{fs, io::Write};

use longshore_store::{Access, Error, LayerFacts, Life, NewImage, Prepared, Resource, Store, Target};
use longshore_types::{Digest, ImageId};

use crate::bed::{diff_id, name, path, stored};

#[cfg(feature = "failpoints")]
pub(crate) const ALL: &[&str] = &[
    "pull", "resume", "blob", "layer", "tag", "untag", "remove", "collect", "create", "commit", "throw",
    "lease", "release", "drop",
];

/// What a resumed download is of.
pub(crate) const PARTIAL: &[u8] = b"0123456789";

fn ack(what: &str) {
    let mut out = std::io::stdout();
    // Not through print!: the harness would keep it.
    writeln!(out, "ack {what}").expect("standard output");
    out.flush().expect("standard output");
}

/// The store that every operation begins on.
pub(crate) fn prepare(store: &Store) -> Result<(), Error> {
    stored(store, &["base", "old"], "old");
    stored(store, &["base", "other"], "other:1");
    let mut ingest = store.ingest(&Digest::of(PARTIAL), 10)?;
    ingest.write_all(&PARTIAL[..4]).expect("written");
    drop(ingest);
    store.put_blob(b"garbage")?;
    let snapshot = store.snapshot(&[diff_id("base")], "container web", Life::Persistent)?;
    fs::write(snapshot.upper_path().join("precious"), "precious").expect("written");
    let lease = store.lease("container web", Life::Persistent)?;
    lease.add(Resource::Layer(diff_id("base")))
}

/// Does one of [`ALL`].
pub(crate) fn run(store: &Store, operation: &str) -> Result<(), Error> {
    match operation {
        "pull" => pull(store)?,
        "resume" => {
            let digest = Digest::of(PARTIAL);
            let mut ingest = store.ingest(&digest, 10)?;
            let offset = usize::try_from(ingest.offset()).expect("small");
            ingest.write_all(&PARTIAL[offset..]).map_err(wrapped)?;
            ingest.commit()?;
        }
        "blob" => {
            store.put_blob(b"small")?;
        }
        "layer" => {
            let new = store.begin_layer()?;
            fs::write(path(new.dir()).join("file"), "alone").map_err(wrapped)?;
            let facts = LayerFacts { bytes: 5, inodes: 2, tar_bytes: 512, forms: Vec::new() };
            new.commit(diff_id("alone"), facts)?;
        }
        "tag" => {
            let target = store.resolve("other:1")?.target;
            store.tag(&name("new"), target.clone())?;
            store.tag(&name("old"), target)?;
        }
        "untag" => {
            store.untag(&name("other:1")).map(drop).or_else(|error| match error {
                Error::NoSuchTag { .. } => Ok(()),
                error => Err(error),
            })?;
        }
        "remove" => {
            if let Ok(found) = store.resolve("old") {
                store.remove_image(&found.images[0], false)?;
            }
            ack("rows");
            store.wait_for_trash()?;
        }
        "collect" => {
            store.collect()?;
            store.wait_for_trash()?;
        }
        "create" => {
            store.snapshot(&[diff_id("base")], "container new", Life::Persistent)?;
        }
        "commit" => commit(store)?,
        "throw" => {
            for entry in store.snapshots()? {
                store.find_snapshot(entry.id)?.remove()?;
            }
            store.wait_for_trash()?;
        }
        "lease" => {
            let lease = store.lease("container new", Life::Persistent)?;
            lease.add(Resource::Layer(diff_id("other")))?;
        }
        "release" => match store.release("container web") {
            Err(Error::NoSuchLease { .. }) => {}
            done => done?,
        },
        "drop" => {
            store.drop_compressed(&diff_id("old"), true)?;
        }
        _ => panic!("no operation {operation}"),
    }
    ack(operation);
    Ok(())
}

fn wrapped(source: std::io::Error) -> Error {
    Error::Io { doing: "write", path: "a file".into(), source }
}

/// What a pull does, with two layers of which one is here.
fn pull(store: &Store) -> Result<(), Error> {
    let content = b"compressed layer";
    let digest = Digest::of(content);
    let mut prepared = Vec::new();
    if !store.has_blob(&digest)? {
        let mut ingest = store.ingest(&digest, content.len() as u64)?;
        let offset = usize::try_from(ingest.offset()).expect("small");
        for piece in content[offset..].chunks(7) {
            ingest.write_all(piece).map_err(wrapped)?;
        }
        prepared.push(Prepared::Blob(ingest.prepare()?));
    }
    let (id, manifest, more) = image_of(store)?;
    prepared.extend(more);
    prepared.push(Prepared::Tag(name("pulled"), Target::Manifest(manifest)));
    store.commit_all(prepared)?;
    ack(&id.to_string());
    Ok(())
}

/// An image of "base" and a layer of its own; errors instead of panics.
fn image_of(store: &Store) -> Result<(ImageId, Digest, Vec<Prepared>), Error> {
    let new = store.begin_layer()?;
    fs::create_dir(path(new.dir()).join("dir")).map_err(wrapped)?;
    fs::write(path(new.dir()).join("dir/file"), "pulled").map_err(wrapped)?;
    let facts = LayerFacts { bytes: 6, inodes: 3, tar_bytes: 512, forms: Vec::new() };
    let layer = new.prepare(diff_id("pulled"), facts)?;
    let config = store.prepare_blob(br#"{"rootfs": {"diff_ids": ["base", "pulled"]}}"#)?;
    let manifest = store.prepare_blob(br#"{"layers": []}"#)?;
    let id = ImageId(config.digest().clone());
    let digest = manifest.digest().clone();
    let image = NewImage {
        id: id.clone(),
        layers: vec![diff_id("base"), diff_id("pulled")],
        platform: longshore_types::Platform::new("linux", "amd64"),
        created: None,
        labels: std::collections::BTreeMap::new(),
        parent: None,
    };
    let row = longshore_store::NewManifest {
        digest: digest.clone(),
        kind: longshore_store::ManifestKind::Manifest,
        media_type: crate::bed::MANIFEST.to_owned(),
        size: manifest.size(),
        image: Some(id.clone()),
        parts: vec![(config.digest().clone(), config.size())],
    };
    let prepared = vec![
        Prepared::Layer(layer),
        Prepared::Blob(config),
        Prepared::Blob(manifest),
        Prepared::Image(image),
        Prepared::Manifest(row),
    ];
    Ok((id, digest, prepared))
}

/// Makes the container's changes a layer.
fn commit(store: &Store) -> Result<(), Error> {
    for entry in store.snapshots()? {
        let snapshot = store.find_snapshot(entry.id)?;
        snapshot.mount(Access::ReadOnly)?;
        let facts = LayerFacts { bytes: 8, inodes: 2, tar_bytes: 512, forms: Vec::new() };
        snapshot.commit(diff_id("committed"), facts)?;
    }
    Ok(())
}

/// What must be so whatever was cut short: nothing half there, nothing lost that was there before.
#[track_caller]
pub(crate) fn check(store: &Store, operation: &str, acknowledged: &[String], context: &str) {
    for found in store.images().expect("images") {
        assert_eq!(found.state, longshore_store::State::Complete, "{context}");
        for diff_id in &found.layers {
            let layer = store.layer(diff_id).expect("a layer").expect("a layer");
            assert!(store.layer_path(&layer).join("dir/file").is_file(), "{context}: {diff_id}");
        }
        let config = store.read_blob(&found.id.0, 1 << 20);
        assert!(config.is_ok(), "{context}: {config:?}");
    }
    let has = |word: &str| store.resolve(word).is_ok();
    let layer = |content: &str| store.layer(&diff_id(content)).expect("a look").is_some();
    let is_done = |what: &str| acknowledged.iter().any(|ack| ack == what);
    assert!(has("other:1") || operation == "untag", "{context}");
    assert!(has("old") || operation == "remove", "{context}");
    assert!(layer("other") && layer("base"), "{context}");
    let snapshots = store.snapshots().expect("snapshots");
    let precious = snapshots.iter().any(|entry| entry.owner == "container web");
    let committed = layer("committed");
    if operation == "commit" {
        assert!(precious != committed, "{context}: {snapshots:?}");
    } else {
        assert!(precious || operation == "throw", "{context}");
    }
    if precious {
        let snapshot = store.find_snapshot(snapshots[0].id).expect("the snapshot");
        let found = fs::read(snapshot.upper_path().join("precious")).expect("the container's file");
        assert_eq!(found, b"precious", "{context}");
    }
    let done = match operation {
        "pull" => has("pulled"),
        "resume" => store.has_blob(&Digest::of(PARTIAL)).expect("a look"),
        "blob" => store.has_blob(&Digest::of(b"small")).expect("a look"),
        "layer" => layer("alone"),
        "tag" => {
            has("new")
                && store.resolve("old").expect("old").images == store.resolve("new").expect("new").images
        }
        "untag" => !has("other:1"),
        "remove" => !has("old"),
        "collect" => !store.has_blob(&Digest::of(b"garbage")).expect("a look"),
        "create" => snapshots.iter().any(|entry| entry.owner == "container new"),
        "commit" => committed,
        "throw" => snapshots.is_empty(),
        "lease" => store
            .leases()
            .expect("leases")
            .iter()
            .any(|lease| !lease.items.is_empty() && lease.owner == "container new"),
        "release" => store.leases().expect("leases").is_empty(),
        "drop" => !store.has_blob(&Digest::of(b"blob of old")).expect("a look"),
        _ => panic!("no operation {operation}"),
    };
    assert!(done || !is_done(operation), "{context}: acknowledged and lost");
    assert!(!has("old") || !is_done("rows"), "{context}: acknowledged and back");
}
