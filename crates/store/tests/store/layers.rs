//! Layers: one directory per DiffID.

use std::fs;

use longshore_store::LayerFacts;
use longshore_types::{DiffId, Digest};

use crate::bed::{Bed, layer, path};

fn count(bed: &Bed) -> usize {
    fs::read_dir(bed.root().join("layers")).expect("layers").count()
}

#[test]
fn a_layer_is_there_when_it_is_committed_and_not_before() {
    let bed = Bed::new();
    let store = bed.store();
    let (diff_id, prepared) = layer(&store, "content");
    assert_eq!(store.layer(&diff_id).unwrap(), None);
    store.commit_all(prepared).unwrap();
    let found = store.layer(&diff_id).unwrap().unwrap();
    assert_eq!((found.facts.bytes, found.facts.inodes, found.facts.tar_bytes), (7, 3, 1024));
    assert_eq!(found.facts.forms.len(), 1);
    assert_eq!(fs::read(store.layer_path(&found).join("dir/file")).unwrap(), b"content");
    drop(store);
    let store = bed.store();
    assert_eq!(store.layers().unwrap(), [found]);
    let fd = store.open_layer(&diff_id).unwrap();
    assert_eq!(fs::read(path(std::os::fd::AsFd::as_fd(&fd)).join("dir/file")).unwrap(), b"content");
}

#[test]
fn a_dropped_layer_is_gone() {
    let bed = Bed::new();
    let store = bed.store();
    let new = store.begin_layer().unwrap();
    fs::write(path(new.dir()).join("file"), "x").unwrap();
    assert_eq!(count(&bed), 1);
    drop(new);
    drop(layer(&store, "y"));
    store.wait_for_trash().unwrap();
    assert_eq!(count(&bed), 0);
    assert_eq!(fs::read_dir(bed.root().join("trash")).unwrap().count(), 0);
}

#[test]
fn the_first_to_commit_a_layer_wins() {
    let bed = Bed::new();
    let store = bed.store();
    let diff_id = DiffId(Digest::of(b"x"));
    let (first, second) = (store.begin_layer().unwrap(), store.begin_layer().unwrap());
    fs::write(path(first.dir()).join("first"), "").unwrap();
    let first = first.commit(diff_id.clone(), LayerFacts::default()).unwrap();
    let second = second.commit(diff_id, LayerFacts::default()).unwrap();
    assert_eq!(first, second);
    assert!(store.layer_path(&first).join("first").is_file());
    store.wait_for_trash().unwrap();
    assert_eq!(count(&bed), 1);
}

#[test]
fn a_tree_deeper_than_descriptors_reach_is_deleted() {
    let bed = Bed::new();
    let store = bed.store();
    let new = store.begin_layer().unwrap();
    // Each level by descriptor: the whole path is longer than the kernel takes.
    let mut dir: std::os::fd::OwnedFd = new.dir().try_clone_to_owned().unwrap();
    for _ in 0..3000 {
        fs::write(path(std::os::fd::AsFd::as_fd(&dir)).join("file"), "").unwrap();
        let below = path(std::os::fd::AsFd::as_fd(&dir)).join("d");
        fs::create_dir(&below).unwrap();
        dir = fs::File::open(below).unwrap().into();
    }
    drop(dir);
    drop(new);
    store.wait_for_trash().unwrap();
    assert_eq!(count(&bed), 0);
    assert_eq!(fs::read_dir(bed.root().join("trash")).unwrap().count(), 0);
}

#[test]
fn deleting_follows_no_links() {
    let bed = Bed::new();
    let store = bed.store();
    let outside = bed.beside("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "x").unwrap();
    let new = store.begin_layer().unwrap();
    std::os::unix::fs::symlink(&outside, path(new.dir()).join("link")).unwrap();
    fs::create_dir(path(new.dir()).join("dir")).unwrap();
    std::os::unix::fs::symlink(&outside, path(new.dir()).join("dir/link")).unwrap();
    drop(new);
    store.wait_for_trash().unwrap();
    assert_eq!(count(&bed), 0);
    assert_eq!(fs::read(outside.join("precious")).unwrap(), b"x");
}
