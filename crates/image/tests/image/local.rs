//! What is done with images without a registry: load, save, import, export, commit, names, removal.

pub(crate) mod archive;
mod crash;
mod create;
mod full;
mod hostile;
mod load;
mod names;
mod peers;
mod prune;
mod remove;
mod save;

use std::{path::PathBuf, sync::Mutex};

use longshore_image::{Images, LoadOptions, Loaded, Result, Settings};
use longshore_registry::{Client, Config};
use longshore_store::{Options, Store};
use longshore_types::{ImageId, Platform, ProgressEvent};
use tempfile::TempDir;

/// A data root that goes with the test.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().expect("a directory") }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn images(&self) -> Images {
        service(Store::open(self.root(), Options::default()).expect("a store").0)
    }
}

pub(crate) fn service(store: Store) -> Images {
    let registry = Client::new(Config::bare()).expect("a client");
    let settings = Settings { platform: Platform::new("linux", "amd64"), ..Settings::default() };
    Images::new(store, registry, settings)
}

/// Loads, and gives what was said, without the amounts.
pub(crate) fn load(images: &Images, archive: &[u8]) -> (Result<Vec<Loaded>>, Vec<String>) {
    let said = Mutex::new(Vec::new());
    let sink = |event: ProgressEvent| {
        if event.status.amounts().is_none() {
            said.lock().expect("a list").push(event.status.to_string());
        }
    };
    let loaded = images.load(archive, &LoadOptions::default(), &sink);
    (loaded, said.into_inner().expect("a list"))
}

/// Loads what must be fine; gives the images' IDs in the archive's order.
#[track_caller]
pub(crate) fn loaded(images: &Images, archive: &[u8]) -> Vec<ImageId> {
    let (loaded, _) = load(images, archive);
    loaded.unwrap_or_else(|error| panic!("{}", error.line())).into_iter().map(|one| one.image).collect()
}

/// The error of a load, which must leave nothing.
#[track_caller]
pub(crate) fn refused(images: &Images, archive: &[u8]) -> String {
    let (loaded, said) = load(images, archive);
    let error = loaded.expect_err("it must be refused").line();
    assert!(!error.contains('\n'), "{error}");
    assert_eq!(said, Vec::<String>::new());
    assert_nothing(images);
    error
}

/// Nothing is in the store, seen or not.
#[track_caller]
pub(crate) fn assert_nothing(images: &Images) {
    let store = images.store();
    assert_eq!(store.images().expect("images"), []);
    assert_eq!(store.layers().expect("layers"), []);
    assert_eq!(store.tags().expect("tags"), []);
    store.wait_for_trash().expect("the trash");
    for dir in ["store/blobs/sha256", "store/ingest", "layers", "snapshots", "trash"] {
        let left: Vec<_> = std::fs::read_dir(store.root().join(dir)).expect(dir).collect();
        assert!(left.is_empty(), "{dir}: {left:?}");
    }
}

/// The tags of an image, as users write them.
pub(crate) fn tags(images: &Images, id: &ImageId) -> Vec<String> {
    images.store().tags_of(id).expect("tags").iter().map(|tag| tag.name.familiar()).collect()
}
