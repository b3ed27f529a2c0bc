//! A store for one test.

use longshore_image::{Images, Settings};
use longshore_store::{Options, Store};
use tempfile::TempDir;

#[test]
fn a_service_is_made_of_a_store() {
    let dir = TempDir::new().expect("a directory");
    let (store, recovery) = Store::open(dir.path().join("data"), Options::default()).expect("a store");
    assert!(recovery.is_clean());
    let images = Images::new(store, Settings::default());
    assert!(images.store().images().expect("a list").is_empty());
}
