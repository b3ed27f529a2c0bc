//! A full disk, at every size: clean errors, nothing half there, and what frees space always works.

use std::{fs, io::Write, path::Path, time::Duration};

use longshore_store::{Options, Store};
use longshore_types::Kind;

use crate::{
    bed::{Bed, Mounted, assert_accounted},
    operations::{self, check},
};

/// Fills the file system but for so many bytes.
fn fill(root: &Path, leave: u64) {
    let mut file = fs::File::create(root.join("filling")).expect("a file");
    let block = vec![0; 4096];
    while file.write_all(&block).is_ok() {}
    let full = file.metadata().expect("a file").len();
    file.set_len(full.saturating_sub(leave) / 4096 * 4096).expect("room");
}

fn options() -> Options {
    Options { reserve: 256 << 10, others: vec!["filling".to_owned()], ..Options::default() }
}

/// Does `operation` with every amount of room from none to enough.
fn at_every_size(operation: &str) {
    let mut failed = 0;
    for pages in 0.. {
        let bed = Bed::new();
        let _mounted = Mounted::memory(&bed.root(), 4 << 20);
        let (store, _) = Store::open(bed.root(), options()).unwrap();
        operations::prepare(&store).unwrap();
        fill(&bed.root(), pages * 4096);
        let context = format!("{operation} with {pages} pages");
        let done = operations::run(&store, operation);
        let acknowledged = if done.is_ok() { vec![operation.to_owned()] } else { Vec::new() };
        check(&store, operation, &acknowledged, &context);
        if let Err(error) = &done {
            assert_eq!(error.kind(), Kind::ResourceExhausted, "{context}: {error:?}");
            failed += 1;
        }
        // What frees space works whatever the room.
        if let Ok(found) = store.resolve("old") {
            store.remove_image(&found.images[0], true).unwrap_or_else(|error| panic!("{context}: {error:?}"));
        }
        store.collect().unwrap_or_else(|error| panic!("{context}: {error:?}"));
        store.remove_partials(Duration::ZERO).unwrap();
        store.wait_for_trash().unwrap();
        fs::remove_file(bed.root().join("filling")).unwrap();
        assert_accounted(&store);
        drop(store);
        let (store, recovery) = Store::open(bed.root(), options()).unwrap();
        assert!(recovery.damaged.is_empty(), "{context}: {recovery:?}");
        operations::run(&store, "pull").unwrap_or_else(|error| panic!("{context}: again: {error:?}"));
        assert_accounted(&store);
        if done.is_ok() && pages > 16 {
            assert!(
                failed > 0 || ["remove", "untag", "collect", "release", "throw", "drop"].contains(&operation)
            );
            return;
        }
    }
}

#[test]
fn pull() {
    at_every_size("pull");
}

#[test]
fn blob() {
    at_every_size("blob");
}

#[test]
fn layer() {
    at_every_size("layer");
}

#[test]
fn commit() {
    at_every_size("commit");
}

#[test]
fn create() {
    at_every_size("create");
}

#[test]
fn remove() {
    at_every_size("remove");
}

#[test]
fn throw() {
    at_every_size("throw");
}

#[test]
fn a_store_opens_on_a_full_disk() {
    let bed = Bed::new();
    let _mounted = Mounted::memory(&bed.root(), 4 << 20);
    operations::prepare(&Store::open(bed.root(), options()).unwrap().0).unwrap();
    fill(&bed.root(), 0);
    let (store, _) = Store::open(bed.root(), options()).unwrap();
    let id = store.resolve("old").unwrap().images[0].clone();
    store.remove_image(&id, false).unwrap();
    store.wait_for_trash().unwrap();
    assert!(store.resolve("old").is_err());
}
