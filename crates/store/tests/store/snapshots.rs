//! Snapshots: mounted, written to, made a layer, removed.

use std::{
    fs,
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, PermissionsExt},
    },
};

use longshore_store::{Access, Error, LayerFacts, Life, MAX_LAYERS, Options, Over, Prepared, Store};
use longshore_types::{DiffId, Kind};

use crate::bed::{Bed, assert_accounted, diff_id, layer, path, stored};

fn opened(bed: &Bed, legacy_mounts: bool) -> Store {
    Store::open(bed.root(), Options { legacy_mounts, ..Options::default() }).expect("open").0
}

/// So many layers, each with a file of its own; lowest first.
fn stack(store: &Store, count: usize) -> Vec<DiffId> {
    let mut prepared = Vec::new();
    let layers = (0..count)
        .map(|number| {
            let new = store.begin_layer().expect("a layer");
            fs::write(path(new.dir()).join(number.to_string()), "").expect("a file");
            fs::write(path(new.dir()).join("top"), number.to_string()).expect("a file");
            let diff_id = diff_id(&number.to_string());
            let layer = new.prepare(diff_id.clone(), LayerFacts::default()).expect("prepared");
            prepared.push(Prepared::Layer(layer));
            diff_id
        })
        .collect();
    store.commit_all(prepared).expect("committed");
    layers
}

#[test]
fn writes_go_to_the_upper_directory_alone() {
    for legacy_mounts in [false, true] {
        let bed = Bed::new();
        let store = &opened(&bed, legacy_mounts);
        stored(store, &["one"], "app");
        let snapshot = store.snapshot(&[diff_id("one")], "container", Life::Persistent).unwrap();
        let mount = snapshot.mount(Access::ReadWrite).unwrap();
        let merged = path(mount.as_fd());
        assert_eq!(fs::read(merged.join("dir/file")).unwrap(), b"one");
        fs::write(merged.join("dir/file"), "changed").unwrap();
        fs::write(merged.join("new"), "x").unwrap();
        drop(mount);
        assert_eq!(fs::read(snapshot.upper_path().join("dir/file")).unwrap(), b"changed");
        let layer = store.layer(&diff_id("one")).unwrap().unwrap();
        assert_eq!(fs::read(store.layer_path(&layer).join("dir/file")).unwrap(), b"one");
        // It can be mounted again, and read-only shows the changes.
        let mount = snapshot.mount(Access::ReadOnly).unwrap();
        let merged = path(mount.as_fd());
        assert_eq!(fs::read(merged.join("dir/file")).unwrap(), b"changed");
        let error = fs::write(merged.join("new"), "y").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        drop(mount);
        snapshot.remove().unwrap();
        assert_accounted(store);
    }
}

#[test]
fn hundreds_of_layers_are_mounted() {
    let bed = Bed::new();
    let store = bed.store();
    let layers = stack(&store, MAX_LAYERS + 1);
    for count in [1, 2, 127, 128, 499, MAX_LAYERS] {
        let snapshot = store.snapshot(&layers[..count], "container", Life::Process).unwrap();
        let mount = snapshot.mount(Access::ReadWrite).unwrap_or_else(|error| panic!("{count}: {error:?}"));
        let merged = path(mount.as_fd());
        assert_eq!(fs::read_dir(&merged).unwrap().count(), count + 1);
        assert_eq!(fs::read_to_string(merged.join("top")).unwrap(), (count - 1).to_string());
    }
    let snapshot = store.snapshot(&layers, "container", Life::Process).unwrap();
    let error = snapshot.mount(Access::ReadWrite).unwrap_err();
    let text = "501 layers are more than the 500 that this kernel's overlay mounts take";
    assert_eq!((error.to_string().as_str(), error.kind()), (text, Kind::Unsupported));
}

#[test]
fn a_layer_with_an_opaque_root_hides_all_below_it() {
    let bed = Bed::new();
    let store = bed.store();
    let layers = stack(&store, 3);
    let middle = store.layer_path(&store.layer(&layers[1]).unwrap().unwrap());
    rustix::fs::lsetxattr(&middle, "trusted.overlay.opaque", b"y", rustix::fs::XattrFlags::empty()).unwrap();
    let mount = store.mount_layers(&layers).unwrap();
    // A file of each layer that is seen, and the one that all have.
    assert_eq!(fs::read_dir(path(mount.as_fd())).unwrap().count(), 3);
}

#[test]
fn hundreds_of_layers_are_mounted_on_an_older_kernel() {
    let bed = Bed::new();
    let store = opened(&bed, true);
    let layers = stack(&store, MAX_LAYERS);
    for count in [1, 2, 127, 128, 400] {
        let snapshot = store.snapshot(&layers[..count], "container", Life::Process).unwrap();
        let mount = snapshot.mount(Access::ReadWrite).unwrap_or_else(|error| panic!("{count}: {error:?}"));
        assert_eq!(fs::read_dir(path(mount.as_fd())).unwrap().count(), count + 1);
    }
}

#[test]
fn a_data_root_with_a_long_path_mounts() {
    let bed = Bed::new();
    let root = bed.root().join("x".repeat(120)).join("y".repeat(120));
    let (store, _) = Store::open(root, Options::default()).unwrap();
    let layers = stack(&store, 3);
    let mount = store.mount_layers(&layers).unwrap();
    assert_eq!(fs::read_dir(path(mount.as_fd())).unwrap().count(), 4);
}

#[test]
fn stacks_of_none_and_one_layer_are_mounted_read_only() {
    let bed = Bed::new();
    let store = bed.store();
    let layers = stack(&store, 1);
    for (layers, count) in [(&layers[..], 2), (&[], 0)] {
        let mount = store.mount_layers(layers).unwrap();
        assert_eq!(fs::read_dir(path(mount.as_fd())).unwrap().count(), count);
        fs::write(path(mount.as_fd()).join("x"), "").unwrap_err();
    }
    let snapshot = store.snapshot(&[], "from scratch", Life::Process).unwrap();
    let mount = snapshot.mount(Access::Volatile).unwrap();
    fs::write(path(mount.as_fd()).join("x"), "").unwrap();
    assert!(snapshot.upper_path().join("x").is_file());
}

#[test]
fn the_root_directory_is_the_image_s() {
    let bed = Bed::new();
    let store = bed.store();
    let new = store.begin_layer().unwrap();
    fs::set_permissions(path(new.dir()), fs::Permissions::from_mode(0o1750)).unwrap();
    std::os::unix::fs::chown(path(new.dir()), Some(5), Some(6)).unwrap();
    fs::set_permissions(path(new.dir()), fs::Permissions::from_mode(0o1750)).unwrap();
    new.commit(diff_id("x"), LayerFacts::default()).unwrap();
    let snapshot = store.snapshot(&[diff_id("x")], "container", Life::Process).unwrap();
    let mount = snapshot.mount(Access::ReadWrite).unwrap();
    let facts = fs::metadata(path(mount.as_fd())).unwrap();
    assert_eq!((facts.mode() & 0o7777, facts.uid(), facts.gid()), (0o1750, 5, 6));
}

#[test]
fn a_commit_is_a_rename() {
    for life in [Life::Process, Life::Persistent] {
        let bed = Bed::new();
        let store = bed.store();
        stored(&store, &["one"], "app");
        let snapshot = store.snapshot(&[diff_id("one")], "build", life).unwrap();
        let mount = snapshot.mount(Access::ReadWrite).unwrap();
        fs::write(path(mount.as_fd()).join("made"), "here").unwrap();
        drop(mount);
        let inode = fs::metadata(snapshot.upper_path().join("made")).unwrap().ino();
        let facts = LayerFacts { bytes: 4, inodes: 2, tar_bytes: 512, forms: Vec::new() };
        let layer = snapshot.commit(diff_id("step"), facts).unwrap();
        let made = store.layer_path(&layer).join("made");
        assert_eq!(fs::metadata(&made).unwrap().ino(), inode);
        assert_eq!(store.layer(&diff_id("step")).unwrap().unwrap(), layer);
        assert_eq!(store.snapshots().unwrap(), []);
        assert_accounted(&store);
        let above = store.snapshot(&[diff_id("one"), diff_id("step")], "next", Life::Process).unwrap();
        let mount = above.mount(Access::ReadWrite).unwrap();
        assert_eq!(fs::read(path(mount.as_fd()).join("made")).unwrap(), b"here");
    }
}

#[test]
fn a_commit_of_a_layer_that_is_here_uses_that() {
    let bed = Bed::new();
    let store = bed.store();
    let (one, prepared) = layer(&store, "one");
    store.commit_all(prepared).unwrap();
    let snapshot = store.snapshot(&[], "build", Life::Persistent).unwrap();
    let layer = snapshot.commit(one.clone(), LayerFacts::default()).unwrap();
    assert_eq!(layer, store.layer(&one).unwrap().unwrap());
    assert_eq!(layer.facts.bytes, 3);
    assert_eq!(store.snapshots().unwrap(), []);
    assert_accounted(&store);
}

#[test]
fn a_persistent_snapshot_is_found_again() {
    let bed = Bed::new();
    let id = {
        let store = bed.store();
        stored(&store, &["one"], "app");
        let snapshot = store.snapshot(&[diff_id("one")], "container", Life::Persistent).unwrap();
        fs::write(snapshot.upper_path().join("file"), "x").unwrap();
        drop(store.snapshot(&[diff_id("one")], "build", Life::Process).unwrap());
        snapshot.id()
    };
    let (store, recovery) = bed.open();
    assert!(recovery.removed.is_empty(), "{recovery:?}");
    let snapshot = store.find_snapshot(id).unwrap();
    assert_eq!((snapshot.owner(), snapshot.layers()), ("container", &[diff_id("one")][..]));
    assert_eq!(fs::read(snapshot.upper_path().join("file")).unwrap(), b"x");
    assert_eq!(store.snapshots().unwrap().len(), 1);
    assert_accounted(&store);
}

#[test]
fn a_snapshot_needs_its_layers() {
    let bed = Bed::new();
    let store = bed.store();
    let error = store.snapshot(&[diff_id("none")], "container", Life::Persistent).unwrap_err();
    assert!(matches!(error, Error::NoSuchLayer { .. }), "{error}");
    let error = store.find_snapshot(77).unwrap_err();
    assert_eq!(error.to_string(), "no such snapshot: 77");
    assert_accounted(&store);
    assert_eq!(fs::read_dir(bed.root().join("snapshots")).unwrap().count(), 0);
}

#[test]
fn a_snapshot_keeps_its_layers() {
    let bed = Bed::new();
    let store = bed.store();
    let (id, _) = stored(&store, &["one"], "app");
    for life in [Life::Process, Life::Persistent] {
        let snapshot = store.snapshot(&[diff_id("one")], "container", life).unwrap();
        store.remove_image(&id, false).unwrap();
        assert_eq!(store.collect().unwrap().layers, []);
        assert!(store.layer(&diff_id("one")).unwrap().is_some());
        stored(&store, &["one"], "app");
        snapshot.remove().unwrap();
    }
}

#[test]
fn what_a_container_has_mounted_is_seen_in_it_and_nowhere_else() {
    let bed = Bed::new();
    let store = &opened(&bed, false);
    stored(store, &["one"], "app");
    let snapshot = store.snapshot(&[diff_id("one")], "container", Life::Persistent).unwrap();
    let host = tempfile::tempdir().unwrap();
    let at = |name: &str| host.path().join(name);
    for name in ["volume", "kept"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("kept/file"), "kept").unwrap();
    fs::write(at("single"), "single").unwrap();
    let mounts = |what: &str| fs::read_to_string("/proc/self/mountinfo").unwrap().matches(what).count();
    let before = mounts("overlay");
    {
        // A link of the image leads outside, were it followed with the host's root.
        let mount = snapshot.mount(Access::ReadWrite).unwrap();
        std::os::unix::fs::symlink("/dir", path(mount.as_fd()).join("link")).unwrap();
    }
    let over = |source: &str, destination: &str, read_only| Over {
        source: at(source),
        destination: destination.into(),
        read_only,
    };
    let all = [
        over("volume", "/link/made/deep", false),
        over("kept", "/kept", true),
        over("single", "/new/single", false),
        over("nothing", "/nothing", false),
    ];
    let mount = snapshot.mount_with(&all).unwrap();
    let merged = path(mount.as_fd());
    fs::write(merged.join("dir/made/deep/x"), "x").unwrap();
    fs::write(merged.join("dir/beside"), "y").unwrap();
    assert_eq!(fs::read_to_string(merged.join("kept/file")).unwrap(), "kept");
    assert_eq!(fs::read_to_string(merged.join("new/single")).unwrap(), "single");
    let error = fs::write(merged.join("kept/file"), "z").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert!(!merged.join("nothing").exists());
    assert_eq!(mounts("overlay"), before, "a mount is to be seen");
    drop(mount);
    assert_eq!(fs::read_to_string(at("volume/x")).unwrap(), "x");
    let upper = snapshot.upper_path();
    assert_eq!(fs::read_to_string(upper.join("dir/beside")).unwrap(), "y");
    assert_eq!(fs::read_dir(upper.join("dir/made/deep")).unwrap().count(), 0);
}
