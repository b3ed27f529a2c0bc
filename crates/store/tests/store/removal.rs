//! Removing images and collecting what is left: what goes, what stays, and why.

use std::{
    fs,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
};

use longshore_store::{Error, Kept, ManifestKind, NewManifest, Prepared, Target};
use longshore_types::Digest;

use crate::bed::{Bed, assert_accounted, diff_id, image, name, stored, walk};

#[test]
fn an_image_takes_what_only_it_has() {
    let bed = Bed::new();
    let store = bed.store();
    let (one, _) = stored(&store, &["base", "app one"], "one");
    let (two, _) = stored(&store, &["base", "second"], "two");
    let sizes = store.image_size(&one).unwrap();
    assert_eq!((sizes.total, sizes.shared, sizes.unique), (11, 4, 7));
    assert_eq!(sizes.compressed, "blob of base".len() as u64 + "blob of app one".len() as u64);
    let removed = store.remove_image(&one, false).unwrap();
    assert_eq!(removed.layers, [diff_id("app one")]);
    assert_eq!(removed.blobs.len(), 3, "layer, configuration, manifest");
    assert_eq!(removed.kept, [Kept { owner: format!("image {two}"), bytes: 4 }]);
    let sizes = store.image_size(&two).unwrap();
    assert_eq!((sizes.total, sizes.shared, sizes.unique), (10, 0, 10));
    assert!(matches!(store.resolve("one"), Err(Error::NoSuchImage { .. })));
    assert!(matches!(store.image_size(&one), Err(Error::NoSuchImage { .. })));
    assert_accounted(&store);
    store.remove_image(&two, false).unwrap();
    assert_accounted(&store);
    let (_, names) = walk(&store.layout().join("blobs"));
    assert_eq!(names.len(), 2, "the two directories alone: {names:?}");
    assert!(fs::read_to_string(store.layout().join("index.json")).unwrap().contains("\"manifests\":[]"));
    assert!(store.collect().unwrap().freed == 0, "removal left something to collect");
}

#[test]
fn a_layer_twice_in_an_image_counts_once() {
    let bed = Bed::new();
    let store = bed.store();
    let (id, _, mut prepared) = image(&store, &["one", "two"]);
    for one in &mut prepared {
        if let Prepared::Image(image) = one {
            image.layers.push(diff_id("one"));
        }
    }
    store.commit_all(prepared).unwrap();
    assert_eq!(store.image(&id).unwrap().unwrap().layers.len(), 3);
    assert_eq!(store.image_size(&id).unwrap().total, 6);
    store.remove_image(&id, false).unwrap();
    assert_accounted(&store);
}

#[test]
fn an_index_goes_with_the_last_of_its_images() {
    let bed = Bed::new();
    let store = bed.store();
    let (one, one_digest) = stored(&store, &["one"], "");
    let (two, two_digest) = stored(&store, &["two"], "");
    let attestation = store.prepare_blob(b"attestation").unwrap();
    let index = store.prepare_blob(b"index").unwrap();
    let index_digest = index.digest().clone();
    let manifest = |digest: &Digest, kind, parts| NewManifest {
        digest: digest.clone(),
        kind,
        media_type: "x".to_owned(),
        size: 5,
        image: None,
        parts,
    };
    let children = vec![(one_digest, 1), (two_digest, 1), (attestation.digest().clone(), 11)];
    store
        .commit_all(vec![
            Prepared::Manifest(manifest(attestation.digest(), ManifestKind::Manifest, Vec::new())),
            Prepared::Manifest(manifest(&index_digest, ManifestKind::Index, children)),
            Prepared::Blob(attestation),
            Prepared::Blob(index),
            Prepared::Tag(name("app"), Target::Manifest(index_digest.clone())),
            Prepared::RepoDigest(name("app").without_version().with_digest(index_digest.clone())),
        ])
        .unwrap();
    assert_eq!(store.resolve("app").unwrap().images, [one.clone(), two.clone()]);
    store.remove_image(&one, false).unwrap();
    assert_eq!(store.resolve("app").unwrap().images, std::slice::from_ref(&two));
    assert!(store.has_blob(&index_digest).unwrap());
    store.remove_image(&two, false).unwrap();
    assert!(matches!(store.resolve("app"), Err(Error::NoSuchImage { .. })));
    let (_, names) = walk(&store.layout().join("blobs"));
    assert_eq!(names.len(), 2, "{names:?}");
    assert_accounted(&store);
}

#[test]
fn a_compressed_form_is_dropped_when_asked_and_the_image_stays() {
    let bed = Bed::new();
    let store = bed.store();
    let (id, _) = stored(&store, &["one"], "app");
    assert_eq!(store.drop_compressed(&diff_id("one"), false).unwrap(), 0, "it has no recipe");
    let bytes = "blob of one".len() as u64;
    assert_eq!(store.drop_compressed(&diff_id("one"), true).unwrap(), bytes);
    let sizes = store.image_size(&id).unwrap();
    assert_eq!((sizes.total, sizes.compressed), (3, 0));
    assert_eq!(store.image(&id).unwrap().unwrap().state, longshore_store::State::Complete);
    assert_accounted(&store);
    // Fetched again, it counts again.
    store.put_blob(b"blob of one").unwrap();
    assert_eq!(store.image_size(&id).unwrap().compressed, bytes);
    assert_eq!(store.collect().unwrap().freed, 0);
}

#[test]
fn collecting_beside_pulls_takes_nothing_that_is_needed() {
    let bed = Bed::new();
    let store = bed.store();
    let (done, start) = (AtomicBool::new(false), Barrier::new(4));
    std::thread::scope(|scope| {
        let pullers: Vec<_> = (0..3)
            .map(|thread| {
                let (store, start) = (store.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    for round in 0..20 {
                        // "base" is made, shared and removed by all of them at once.
                        let own = format!("{thread} {round}");
                        let (id, _) = stored(&store, &["base", &own], &format!("app{thread}:{round}"));
                        assert_eq!(
                            store.image(&id).unwrap().unwrap().state,
                            longshore_store::State::Complete
                        );
                        let base = store.layer(&diff_id("base")).unwrap().unwrap();
                        assert!(store.layer_path(&base).join("dir/file").is_file(), "{thread} {round}");
                        if round % 2 == 0 {
                            store.remove_image(&id, false).unwrap();
                        }
                    }
                })
            })
            .collect();
        let collector = scope.spawn(|| {
            start.wait();
            while !done.load(Ordering::Relaxed) {
                store.collect().unwrap();
            }
        });
        let pulled: Vec<_> = pullers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(pulled.iter().all(Result::is_ok));
        collector.join().unwrap();
    });
    assert_eq!(store.images().unwrap().len(), 30);
    assert_accounted(&store);
}
