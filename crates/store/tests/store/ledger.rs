//! The ledger: every byte has an owner.

use std::{fs, io::Write, time::Duration};

use longshore_store::{Life, Options, Store};
use longshore_types::Digest;

use crate::bed::{Bed, assert_accounted, diff_id, path, stored};

#[test]
fn every_byte_has_an_owner_at_every_stage() {
    let bed = Bed::new();
    let store = bed.store();
    assert_accounted(&store);
    let (id, _) = stored(&store, &["one", "two"], "app");
    assert_accounted(&store);
    // Things being made.
    let mut ingest = store.ingest(&Digest::of(b"0123456789"), 10).unwrap();
    ingest.write_all(b"0123").unwrap();
    ingest.flush().unwrap();
    let new = store.begin_layer().unwrap();
    fs::write(path(new.dir()).join("file"), "12345").unwrap();
    let temporary = store.snapshot(&[diff_id("one")], "build", Life::Process).unwrap();
    fs::write(temporary.upper_path().join("file"), "123456").unwrap();
    let ledger = store.ledger(Duration::ZERO).unwrap();
    assert_eq!(ledger.staged, 4 + 5 + 6);
    assert_eq!(ledger.layers, 6);
    assert_accounted(&store);
    drop((new, temporary));
    // A download that broke off, and a container.
    drop(ingest);
    let snapshot = store.snapshot(&[diff_id("one")], "container", Life::Persistent).unwrap();
    fs::write(snapshot.upper_path().join("file"), "1234567").unwrap();
    fs::hard_link(snapshot.upper_path().join("file"), snapshot.upper_path().join("again")).unwrap();
    let ledger = store.ledger(Duration::ZERO).unwrap();
    assert_eq!((ledger.staged, ledger.partials, ledger.snapshots), (0, 4, 7));
    assert_accounted(&store);
    store.remove_image(&id, true).unwrap();
    assert_accounted(&store);
    assert_eq!(store.remove_partials(Duration::ZERO).unwrap(), 4);
    snapshot.remove().unwrap();
    store.collect().unwrap();
    assert_accounted(&store);
    let ledger = store.ledger(Duration::ZERO).unwrap();
    assert_eq!(ledger.total(), ledger.metadata);
}

#[test]
fn what_others_put_there_is_named() {
    let bed = Bed::new();
    let store = bed.store();
    stored(&store, &["one"], "app");
    let root = bed.root();
    let layer = format!("layers/{}/junk", store.layers().unwrap()[0].id);
    let junk = ["junk", "store/blobs/sha256/junk", &layer, "layers/junk", "store/ingest/junk", "empty/x"];
    for name in junk {
        fs::write(root.join(name), "1234").unwrap();
    }
    fs::create_dir(root.join("volumes")).unwrap();
    fs::write(root.join("volumes/data"), "12345678").unwrap();
    let ledger = store.ledger(Duration::ZERO).unwrap();
    assert_eq!(ledger.unaccounted, 4 * junk.len() as u64 + 8);
    for name in junk {
        assert!(
            ledger.unaccounted_paths.contains(&root.join(name)),
            "{name}: {:?}",
            ledger.unaccounted_paths
        );
    }
    drop(store);
    let options = Options { others: vec!["volumes".to_owned()], ..Options::default() };
    let (store, _) = Store::open(&root, options).unwrap();
    assert_eq!(store.ledger(Duration::ZERO).unwrap().unaccounted, 4 * junk.len() as u64);
}

#[test]
fn the_count_of_a_snapshot_is_kept() {
    let bed = Bed::new();
    let store = bed.store();
    let snapshot = store.snapshot(&[], "container", Life::Persistent).unwrap();
    fs::write(snapshot.upper_path().join("file"), "1234567").unwrap();
    assert_eq!(snapshot.usage(Duration::from_secs(3600)).unwrap().bytes, 7);
    fs::write(snapshot.upper_path().join("more"), "1234567").unwrap();
    assert_eq!(snapshot.usage(Duration::from_secs(3600)).unwrap().bytes, 7);
    assert_eq!(store.snapshots().unwrap()[0].usage.unwrap().bytes, 7);
    assert_eq!(snapshot.usage(Duration::ZERO).unwrap().bytes, 14);
}
