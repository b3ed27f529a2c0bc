//! Damage: metadata is flipped, emptied and cut short, one piece at a time. The store always opens, says what it
//! found, and a pull heals it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use longshore_store::{Error, Life, State, Store};

use crate::bed::{Bed, assert_accounted, diff_id, image, open_at, options, stored, walk};

/// What is done to a file, from this offset on.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip,
    Zero,
    Cut,
}

fn harm(path: &Path, how: Harm, offset: usize) {
    let mut content = fs::read(path).expect("a file");
    let end = content.len().min(offset + 4096);
    match how {
        Harm::Flip => {
            let at = (offset + 4096 / 2 + 13).min(content.len() - 1);
            content[at] ^= 0x10;
        }
        Harm::Zero => content[offset..end].fill(0),
        Harm::Cut => content.truncate(offset),
    }
    fs::write(path, content).expect("written");
}

/// A store with two images that is closed; its copy can be made again and again.
fn made(bed: &Bed) -> PathBuf {
    let (store, _) = open_at(&bed.root());
    stored(&store, &["base", "one"], "one");
    stored(&store, &["base", "two"], "two");
    let lease = store.lease("container web", Life::Persistent).expect("a lease");
    lease.add(longshore_store::Resource::Layer(diff_id("base"))).expect("held");
    bed.root()
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp");
    assert!(status.success());
}

/// Opens a harmed store, and heals it as a pull does.
fn open_and_heal(root: &Path, context: &str) {
    let (store, recovery) = match Store::open(root, options()) {
        Ok(opened) => opened,
        // A flip can make the format's number a plausible later one.
        Err(error @ Error::NewerFormat { .. }) => {
            assert!(error.to_string().contains("use a newer version"), "{context}");
            return;
        }
        Err(error) => panic!("{context}: {error:?}"),
    };
    let context = format!("{context}: {recovery:?}");
    for found in store.images().unwrap_or_else(|error| panic!("{context}: {error:?}")) {
        let complete = found.state == State::Complete;
        assert!(complete || !recovery.damaged.is_empty(), "{context}: {found:?}");
        if complete {
            for diff_id in &found.layers {
                let layer = store.layer(diff_id).unwrap().unwrap();
                assert!(store.layer_path(&layer).join("dir/file").is_file(), "{context}");
            }
        }
        let sizes = store.image_size(&found.id);
        assert!(sizes.is_ok(), "{context}: {sizes:?}");
    }
    for (layers, tag) in [(["base", "one"], "one"), (["base", "two"], "two")] {
        let (id, digest, mut prepared) = image(&store, &layers);
        let name = crate::bed::name(tag);
        prepared.push(longshore_store::Prepared::Tag(name, longshore_store::Target::Manifest(digest)));
        store.commit_all(prepared).unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let found = store.image(&id).unwrap().unwrap();
        assert_eq!(found.state, State::Complete, "{context}");
        assert_eq!(found.layers, layers.map(diff_id), "{context}");
        assert_eq!(store.resolve(tag).unwrap().images, [id], "{context}");
    }
    store.tags().unwrap_or_else(|error| panic!("{context}: {error:?}"));
    store.leases().unwrap_or_else(|error| panic!("{context}: {error:?}"));
    store.collect().unwrap_or_else(|error| panic!("{context}: {error:?}"));
    assert_accounted(&store);
}

#[test]
fn every_page_of_the_database_may_be_damaged() {
    let bed = Bed::new();
    let root = made(&bed);
    let pages = fs::metadata(root.join("store.db")).unwrap().len().div_ceil(4096);
    assert!(pages > 20, "{pages} pages");
    for page in 0..pages {
        for how in [Harm::Flip, Harm::Zero, Harm::Cut] {
            let copied = bed.beside(&format!("{how:?}{page}"));
            copy(&root, &copied);
            harm(&copied.join("store.db"), how, usize::try_from(page * 4096).unwrap());
            open_and_heal(&copied, &format!("{how:?} page {page}"));
            fs::remove_dir_all(copied).unwrap();
        }
    }
}

#[test]
fn every_kind_of_value_in_the_database_may_be_flipped() {
    let bed = Bed::new();
    let root = made(&bed);
    let content = fs::read(root.join("store.db")).unwrap();
    // Where text or numbers are: every 71st byte that is not empty space.
    let places: Vec<_> =
        content.iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(at, _)| at).step_by(71).collect();
    assert!(places.len() > 100, "{}", places.len());
    for at in places {
        let copied = bed.beside(&format!("at{at}"));
        copy(&root, &copied);
        let mut harmed = content.clone();
        harmed[at] ^= 1;
        fs::write(copied.join("store.db"), harmed).unwrap();
        open_and_heal(&copied, &format!("bit at {at}"));
        fs::remove_dir_all(copied).unwrap();
    }
}

#[test]
fn every_other_file_of_metadata_may_be_damaged() {
    let bed = Bed::new();
    let root = made(&bed);
    let (_, names) = walk(&root);
    let is_metadata = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default();
        ["index.json", "oci-layout", "layer.json", "lock", "reserve"].iter().any(|known| *known == name)
            || path.parent().is_some_and(|parent| parent.ends_with("sha256"))
    };
    let files: Vec<_> = names.iter().filter(is_metadata).collect();
    assert!(files.len() >= 4 + 3 + 6, "{files:?}");
    for file in files {
        for how in [Harm::Flip, Harm::Zero, Harm::Cut] {
            let copied = bed.beside("copy");
            copy(&root, &copied);
            let harmed = copied.join(file.strip_prefix(&root).unwrap());
            if fs::metadata(&harmed).unwrap().len() > 0 {
                harm(&harmed, how, 0);
            }
            // What keeps its length is found by the check that reads.
            {
                let (store, _) = open_at(&copied);
                store.check().unwrap();
                assert_eq!(store.check().unwrap().damaged, Vec::<String>::new());
                assert_accounted(&store);
            }
            open_and_heal_quietly(&copied, &format!("{how:?} {}", file.display()));
            fs::remove_dir_all(copied).unwrap();
        }
    }
}

/// As [`open_and_heal`], for damage that was found and listed before.
fn open_and_heal_quietly(root: &Path, context: &str) {
    let (store, recovery) = open_at(root);
    assert_eq!(recovery.damaged, Vec::<String>::new(), "{context}");
    for layers in [["base", "one"], ["base", "two"]] {
        let (id, _, prepared) = image(&store, &layers);
        store.commit_all(prepared).unwrap_or_else(|error| panic!("{context}: {error:?}"));
        assert_eq!(store.image(&id).unwrap().unwrap().state, State::Complete, "{context}");
    }
    for word in ["one", "two"] {
        let found = store.resolve(word).unwrap_or_else(|error| panic!("{context}: {error:?}"));
        assert_eq!(found.images.len(), 1, "{context}");
    }
    store.empty_quarantine().unwrap();
    assert_accounted(&store);
    assert_eq!(store.check().unwrap().damaged, Vec::<String>::new(), "{context}");
}

#[test]
fn a_lost_database_is_made_again_from_the_disk() {
    for lost in ["gone", "empty", "garbage"] {
        let bed = Bed::new();
        let (id, digest) = {
            let store = bed.store();
            let (id, digest) = stored(&store, &["base", "one"], "one");
            let name = crate::bed::name("one").without_version().with_digest(digest.clone());
            store.commit_all(vec![longshore_store::Prepared::RepoDigest(name)]).unwrap();
            store.tag(&crate::bed::name("local"), longshore_store::Target::Image(id.clone())).unwrap();
            let snapshot = store.snapshot(&[diff_id("base")], "container web", Life::Persistent).unwrap();
            fs::write(snapshot.upper_path().join("precious"), "x").unwrap();
            (id, digest)
        };
        let path = bed.root().join("store.db");
        match lost {
            "gone" => fs::remove_file(&path).unwrap(),
            "empty" => fs::write(&path, "").unwrap(),
            _ => fs::write(&path, vec![b'x'; 100_000]).unwrap(),
        }
        let (store, recovery) = bed.open();
        assert!(recovery.rebuilt, "{lost}");
        let found = store.image(&id).unwrap().unwrap();
        assert_eq!((found.state, found.platform.to_string().as_str()), (State::Complete, "linux/amd64"));
        for word in ["one", "local", &format!("one@{digest}")] {
            assert_eq!(store.resolve(word).unwrap().images, std::slice::from_ref(&id), "{lost} {word}");
        }
        assert_eq!(store.image_size(&id).unwrap().total, 7);
        assert_eq!(store.manifest(&digest).unwrap().unwrap().parts.len(), 3);
        // The container's files are put away, not deleted.
        let (_, names) = walk(&bed.root().join("quarantine"));
        assert!(names.iter().any(|name| name.ends_with("upper/precious")), "{lost}: {names:?}");
        assert_accounted(&store);
        drop(store);
        let (_, recovery) = bed.open();
        assert!(recovery.is_clean(), "{recovery:?}");
    }
}

#[test]
fn a_check_finds_what_an_open_cannot() {
    let bed = Bed::new();
    let store = bed.store();
    let (id, _) = stored(&store, &["one"], "one");
    let layer = store.layer(&diff_id("one")).unwrap().unwrap();
    assert_eq!(store.check().unwrap().damaged, Vec::<String>::new());
    fs::write(store.layer_path(&layer).join("dir/file"), "").unwrap();
    let config = store.layout().join("blobs/sha256").join(id.0.hex());
    let mut content = fs::read(&config).unwrap();
    content[3] ^= 1;
    fs::write(&config, content).unwrap();
    let report = store.check().unwrap();
    assert_eq!(report.damaged, [id.to_string(), format!("layer {}", diff_id("one"))]);
    let state = State::Damaged { layers: vec![diff_id("one")], config: true };
    assert_eq!(store.image(&id).unwrap().unwrap().state, state);
    assert_eq!(store.layer(&diff_id("one")).unwrap(), None);
    stored(&store, &["one"], "one");
    assert_eq!(store.image(&id).unwrap().unwrap().state, State::Complete);
    assert_accounted(&store);
    assert!(store.empty_quarantine().unwrap() > 0);
    assert_accounted(&store);
}
