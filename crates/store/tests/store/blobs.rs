//! Blobs: in once, verified, resumed.

use std::{
    fs,
    io::{Read, Write},
};

use longshore_store::{Error, Prepared};
use longshore_types::{Digest, Kind};

use crate::bed::{Bed, blob};

#[test]
fn what_goes_in_comes_out() {
    let bed = Bed::new();
    let store = bed.store();
    let content = vec![7; 1 << 20];
    let digest = blob(&store, &content);
    assert_eq!(store.blob_size(&digest).unwrap(), Some(1 << 20));
    let mut found = Vec::new();
    store.blob(&digest).unwrap().read_to_end(&mut found).unwrap();
    assert_eq!(found, content);
    assert_eq!(store.read_blob(&digest, 1 << 20).unwrap(), content);
    drop(store);
    assert!(bed.store().has_blob(&digest).unwrap(), "not there after a restart");
    let other = Digest::of(b"other");
    let error = bed.store().blob(&other).unwrap_err();
    assert_eq!(error.to_string(), format!("no such blob: {other}"));
    assert_eq!(error.kind(), Kind::NotFound);
}

#[test]
fn small_blobs_have_one_file_however_often_they_come() {
    let bed = Bed::new();
    let store = bed.store();
    let digest = store.put_blob(b"config").unwrap();
    assert_eq!(store.put_blob(b"config").unwrap(), digest);
    let names: Vec<_> = fs::read_dir(store.layout().join("blobs/sha256")).unwrap().flatten().collect();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].file_name().to_str(), Some(digest.hex()));
    assert_eq!(fs::read_dir(store.layout().join("ingest")).unwrap().count(), 0);
}

#[test]
fn a_download_goes_on_where_it_broke_also_after_a_restart() {
    let bed = Bed::new();
    let content = b"0123456789";
    let digest = Digest::of(content);
    {
        let store = bed.store();
        let mut ingest = store.ingest(&digest, 10).unwrap();
        ingest.write_all(&content[..4]).unwrap();
        let error = ingest.prepare().unwrap_err();
        assert_eq!(error.to_string(), format!("blob {digest}: 4 bytes came, 10 were announced"));
        assert_eq!(store.partial(&digest, 10).unwrap(), 4);
    }
    let store = bed.store();
    assert!(!store.has_blob(&digest).unwrap());
    let mut ingest = store.ingest(&digest, 10).unwrap();
    assert_eq!(ingest.offset(), 4);
    ingest.write_all(&content[4..]).unwrap();
    assert_eq!(ingest.commit().unwrap(), digest);
    assert_eq!(store.read_blob(&digest, 10).unwrap(), content);
    assert_eq!(store.partial(&digest, 10).unwrap(), 0);
}

#[test]
fn a_damaged_partial_is_found_out_at_the_end_and_started_over() {
    let bed = Bed::new();
    let store = bed.store();
    let content = b"0123456789";
    let digest = Digest::of(content);
    let mut ingest = store.ingest(&digest, 10).unwrap();
    ingest.write_all(b"012X").unwrap();
    drop(ingest);
    let mut ingest = store.ingest(&digest, 10).unwrap();
    ingest.write_all(&content[4..]).unwrap();
    let error = ingest.prepare().unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { resumed: true, .. }), "{error}");
    assert_eq!(store.ingest(&digest, 10).unwrap().offset(), 0);
    assert_eq!(blob(&store, content), digest);
}

#[test]
fn content_that_is_not_what_was_announced_never_becomes_a_blob() {
    let bed = Bed::new();
    let store = bed.store();
    let digest = Digest::of(b"right");
    let mut ingest = store.ingest(&digest, 5).unwrap();
    ingest.write_all(b"wrong").unwrap();
    let error = ingest.commit().unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { resumed: false, .. }), "{error}");
    let mut ingest = store.ingest(&digest, 5).unwrap();
    assert_eq!(ingest.offset(), 0);
    let error = ingest.write_all(b"longer").unwrap_err();
    assert_eq!(error.to_string(), format!("blob {digest}: more than the 5 bytes announced"));
    assert!(!store.has_blob(&digest).unwrap());
}

#[test]
fn one_writer_at_a_time_has_a_blob() {
    let bed = Bed::new();
    let store = bed.store();
    let digest = Digest::of(b"x");
    let ingest = store.ingest(&digest, 1).unwrap();
    let error = store.ingest(&digest, 1).unwrap_err();
    assert!(matches!(error, Error::IngestBusy { .. }), "{error}");
    drop(ingest);
    store.ingest(&digest, 1).unwrap();
}

#[test]
fn an_aborted_blob_leaves_nothing() {
    let bed = Bed::new();
    let store = bed.store();
    let digest = Digest::of(b"xyz");
    let mut ingest = store.ingest(&digest, 3).unwrap();
    ingest.write_all(b"x").unwrap();
    ingest.abort().unwrap();
    let mut unnamed = store.new_blob().unwrap();
    unnamed.write_all(b"x").unwrap();
    drop(unnamed);
    drop(store.prepare_blob(b"y").unwrap());
    assert_eq!(fs::read_dir(store.layout().join("ingest")).unwrap().count(), 0);
}

#[test]
fn an_unnamed_blob_gets_its_digest_at_the_end() {
    let bed = Bed::new();
    let store = bed.store();
    let mut ingest = store.new_blob().unwrap();
    ingest.write_all(b"pushed ").unwrap();
    ingest.write_all(b"layer").unwrap();
    let prepared = ingest.prepare().unwrap();
    let digest = Digest::of(b"pushed layer");
    assert_eq!((prepared.digest(), prepared.size()), (&digest, 12));
    assert!(!store.has_blob(&digest).unwrap(), "visible before it is committed");
    store.commit_all(vec![Prepared::Blob(prepared)]).unwrap();
    assert_eq!(store.read_blob(&digest, 100).unwrap(), b"pushed layer");
}

#[test]
fn longer_hashes_have_a_place_of_their_own() {
    let bed = Bed::new();
    let store = bed.store();
    let mut hasher = longshore_types::Hasher::new(longshore_types::Algorithm::Sha512);
    hasher.update(b"x");
    let digest = hasher.finish();
    let mut ingest = store.ingest(&digest, 1).unwrap();
    ingest.write_all(b"x").unwrap();
    assert_eq!(ingest.commit().unwrap(), digest);
    assert!(store.layout().join("blobs/sha512").join(digest.hex()).is_file());
    assert_eq!(store.read_blob(&digest, 1).unwrap(), b"x");
}

#[test]
fn a_blob_is_verified_when_it_is_read_whole() {
    let bed = Bed::new();
    let store = bed.store();
    let digest = store.put_blob(b"good").unwrap();
    fs::write(store.layout().join("blobs/sha256").join(digest.hex()), b"evil").unwrap();
    assert!(matches!(store.read_blob(&digest, 10).unwrap_err(), Error::DigestMismatch { .. }));
    assert!(matches!(store.read_blob(&digest, 3).unwrap_err(), Error::SizeMismatch { .. }));
}
