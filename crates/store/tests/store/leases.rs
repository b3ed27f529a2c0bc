//! Leases: what they keep, and for how long.

use longshore_store::{Error, Life, Resource};
use longshore_types::{Digest, Kind};

use crate::bed::{Bed, assert_accounted, diff_id, layer, stored};

#[test]
fn a_lease_of_the_process_keeps_things_until_it_is_dropped() {
    let bed = Bed::new();
    let store = bed.store();
    let lease = store.lease("pull of app", Life::Process).unwrap();
    // Held before it exists.
    lease.add_all([Resource::Blob(Digest::of(b"x")), Resource::Layer(diff_id("one"))]).unwrap();
    let digest = store.put_blob(b"x").unwrap();
    let other = store.put_blob(b"y").unwrap();
    let (one, prepared) = layer(&store, "one");
    store.commit_all(prepared).unwrap();
    let removed = store.collect().unwrap();
    assert_eq!(removed.blobs, [other]);
    assert!(store.has_blob(&digest).unwrap());
    assert!(store.layer(&one).unwrap().is_some());
    assert_eq!(store.leases().unwrap(), []);
    drop(lease);
    let removed = store.collect().unwrap();
    assert_eq!(removed.layers, [one]);
    assert_eq!(removed.blobs.len(), 2, "the layer's own blob goes with it");
    assert_eq!(removed.freed, 3 + 1 + "blob of one".len() as u64);
    assert_accounted(&store);
}

#[test]
fn a_persistent_lease_outlives_the_process() {
    let bed = Bed::new();
    let digest = {
        let store = bed.store();
        let digest = store.put_blob(b"x").unwrap();
        let lease = store.lease("container web", Life::Persistent).unwrap();
        lease.add(Resource::Blob(digest.clone())).unwrap();
        store.lease("pull", Life::Process).unwrap().add(Resource::Blob(digest.clone())).unwrap();
        digest
    };
    let store = bed.store();
    assert_eq!(store.collect().unwrap().freed, 0);
    let leases = store.leases().unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!(
        (leases[0].owner.as_str(), &leases[0].items),
        ("container web", &vec![Resource::Blob(digest)])
    );
    store.release("container web").unwrap();
    let error = store.release("container web").unwrap_err();
    assert_eq!((error.to_string().as_str(), error.kind()), ("no such lease: container web", Kind::NotFound));
    assert_eq!(store.collect().unwrap().freed, 1);
}

#[test]
fn an_image_in_use_is_removed_only_by_force() {
    let bed = Bed::new();
    let store = bed.store();
    let (id, _) = stored(&store, &["one", "two"], "app");
    let lease = store.lease("container web", Life::Persistent).unwrap();
    lease.add(Resource::Image(id.clone())).unwrap();
    let snapshot =
        store.snapshot(&[diff_id("one"), diff_id("two")], "container web", Life::Persistent).unwrap();
    let error = store.remove_image(&id, false).unwrap_err();
    assert_eq!(error.to_string(), format!("image {id} is in use by container web"));
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(store.users_of_image(&id).unwrap(), ["container web"]);
    let removed = store.remove_image(&id, true).unwrap();
    assert_eq!(removed.layers, []);
    assert_eq!((removed.kept[0].owner.as_str(), removed.kept[0].bytes), ("container web", 6));
    assert!(matches!(store.resolve("app"), Err(Error::NoSuchImage { .. })));
    // The container still has what it stands on.
    snapshot.mount(longshore_store::Access::ReadOnly).unwrap();
    snapshot.remove().unwrap();
    assert_eq!(store.collect().unwrap().layers.len(), 2);
    assert_accounted(&store);
}
