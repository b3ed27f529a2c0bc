//! A store for one test, and what is asked of it.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use longshore_image::{Images, PullOptions, Pulled, Result, Settings};
use longshore_registry::{Client, Config, Patience};
use longshore_store::{Options, Recovery, Store};
use longshore_types::{Platform, ProgressEvent, Reference, progress::Silent};
use tempfile::TempDir;

pub(crate) struct Bed {
    dir: TempDir,
}

impl Bed {
    /// In memory where there is a file system for it: what is tested is order, not the disk.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        Self { dir: dir.expect("a directory") }
    }

    /// Where the data root is.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A path beside the data root.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn open(&self) -> (Images, Recovery) {
        let (store, recovery) = Store::open(self.root(), Options::default()).expect("a store");
        (service(store), recovery)
    }

    pub(crate) fn images(&self) -> Images {
        self.open().0
    }
}

/// A service that is not patient.
pub(crate) fn service(store: Store) -> Images {
    let patience = Patience {
        stall: Duration::from_millis(500),
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(20),
        ..Patience::default()
    };
    let registry = Client::new(Config { patience, ..Config::bare() }).expect("a client");
    Images::new(
        store,
        registry,
        Settings { platform: Platform::new("linux", "amd64"), ..Settings::default() },
    )
}

pub(crate) fn name(text: &str) -> Reference {
    Reference::parse(text).expect("a name")
}

/// Pulls, and nobody watches.
pub(crate) async fn pull(images: &Images, text: &str) -> Result<Pulled> {
    images.pull(&name(text), &PullOptions::default(), &Silent).await
}

/// Pulls; what was said comes along, without the amounts.
pub(crate) async fn pull_watched(
    images: &Images,
    text: &str,
    options: &PullOptions,
) -> (Result<Pulled>, Vec<String>) {
    let said = Mutex::new(Vec::new());
    let sink = |event: ProgressEvent| {
        if event.status.amounts().is_none() {
            let id = if event.id.is_empty() { String::new() } else { format!("{}: ", event.id) };
            said.lock().expect("a list").push(format!("{id}{}", event.status));
        }
    };
    let pulled = images.pull(&name(text), options, &sink).await;
    (pulled, said.into_inner().expect("a list"))
}

/// Nothing but partial downloads is here.
#[track_caller]
pub(crate) fn assert_nothing_visible(images: &Images) {
    let store = images.store();
    assert!(store.images().expect("images").is_empty());
    assert!(store.layers().expect("layers").is_empty());
    assert!(store.tags().expect("tags").is_empty());
    let blobs = std::fs::read_dir(store.layout().join("blobs/sha256")).expect("blobs").count();
    assert_eq!(blobs, 0, "blobs");
    store.wait_for_trash().expect("the trash");
    let layers = std::fs::read_dir(store.root().join("layers")).expect("layers").count();
    assert_eq!(layers, 0, "directories of layers");
    assert_accounted(images);
}

/// Every byte below the data root belongs to something.
#[track_caller]
pub(crate) fn assert_accounted(images: &Images) {
    let ledger = images.store().ledger(Duration::ZERO).expect("the ledger");
    assert_eq!(ledger.unaccounted, 0, "{:?}", ledger.unaccounted_paths);
}

/// Names and lengths of partial downloads.
pub(crate) fn partials(images: &Images) -> Vec<(String, u64)> {
    let ingest = images.store().layout().join("ingest");
    let entries = std::fs::read_dir(ingest).expect("a directory").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), entry.metadata().expect("a file").len())
        })
        .collect()
}
