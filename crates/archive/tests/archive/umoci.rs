//! The tree that another implementation makes of the same layers.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::apply::Root;
use crate::diff::everything;
use crate::layer::{Item, char_device, dir, fifo, file, hardlink, layer, symlink};
use crate::mount::Mount;
use crate::tree::{Tree, assert_same, look};

fn umoci(arguments: &[&str]) {
    let output =
        Command::new("umoci").args(arguments).output().expect("umoci, which scripts/setup.sh installs");
    assert!(output.status.success(), "umoci {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What umoci unpacks, as root.
fn theirs(layers: &[Vec<u8>]) -> Tree {
    let temp = TempDir::with_prefix("longshore-umoci-").expect("a directory");
    let path = |name: &str| temp.path().join(name).to_str().expect("text").to_owned();
    let (layout, image) = (path("image"), path("image:tag"));
    umoci(&["init", "--layout", &layout]);
    umoci(&["new", "--image", &image]);
    for layer in layers {
        fs::write(path("layer.tar"), layer).expect("write");
        umoci(&["raw", "add-layer", "--image", &image, &path("layer.tar")]);
    }
    umoci(&["raw", "unpack", "--image", &image, &path("rootfs")]);
    look(Path::new(&path("rootfs")))
}

/// The merged view of layers that were applied each to its own directory.
fn ours(layers: &[Vec<u8>]) -> Tree {
    let roots: Vec<Root> = layers.iter().map(|_| Root::new()).collect();
    for (root, layer) in roots.iter().zip(layers) {
        root.apply_bytes(layer).expect("applied");
    }
    // One layer alone is no overlay.
    let bottom = Root::new();
    let mut dirs: Vec<_> = roots.iter().rev().map(Root::path).collect();
    dirs.push(bottom.path());
    let dirs: Vec<&Path> = dirs.iter().map(|dir| dir.as_path()).collect();
    look(&Mount::overlay(&dirs).path())
}

#[track_caller]
fn assert_like_umoci(layers: &[Vec<Item>]) -> Tree {
    let layers: Vec<Vec<u8>> = layers.iter().map(|items| layer(items)).collect();
    let tree = ours(&layers);
    assert_same(&tree, &theirs(&layers));
    tree
}

/// All kinds of files but those where umoci is known to differ: attributes of directories that their
/// content inherits there, depending on the order, and a time past 2038, which it cannot set.
fn plain() -> Vec<Item> {
    let marker = |item: &Item| item.path.windows(4).any(|part| part == b".wh.");
    everything()
        .into_iter()
        .filter(|item| !marker(item) && !item.path.starts_with(b"acl") && item.path != b"later")
        .collect()
}

#[test]
fn one_layer_with_every_kind() {
    // Without an entry for a directory, umoci gives it the time of unpacking.
    let mut items = vec![dir("dev"), dir("d"), dir("opaque"), dir("deep")];
    items.extend((2..=100).map(|depth| dir("deep/".repeat(depth))));
    items.extend(plain());
    let tree = assert_like_umoci(&[items]);
    assert!(tree.len() > 110);
}

#[test]
fn layers_that_delete_and_replace() {
    let lower = vec![
        dir("etc").mode(0o755),
        file("etc/passwd", "lower"),
        file("etc/group", "lower"),
        file("etc/gone", ""),
        dir("usr").owner(1, 1),
        dir("usr/lib"),
        file("usr/lib/a", "a"),
        hardlink("usr/lib/b", "usr/lib/a"),
        dir("opaque").mode(0o700),
        file("opaque/lower", ""),
        dir("opaque/sub"),
        dir("to-file"),
        file("to-file/x", ""),
        file("to-dir", ""),
        dir("to-link"),
        file("to-link/x", ""),
        symlink("from-link", "etc"),
        dir("deleted"),
        file("deleted/x", ""),
        dir("back"),
        file("back/lower", ""),
    ];
    let upper = vec![
        dir("etc").mode(0o751).owner(3, 4).time(1_234_567_890, 987_654_321),
        file("etc/passwd", "upper").mode(0o600),
        file("etc/.wh.gone", ""),
        dir("usr").owner(2, 2),
        dir("usr/lib"),
        file("usr/lib/b", "no longer a link"),
        dir("opaque").mode(0o711),
        file("opaque/.wh..wh..opq", ""),
        file("opaque/upper", ""),
        file("to-file", "now a file"),
        dir("to-dir"),
        file("to-dir/x", ""),
        symlink("to-link", "/etc"),
        dir("from-link").mode(0o555),
        file("from-link/x", ""),
        file(".wh.deleted", ""),
        file(".wh.back", ""),
        fifo("pipe"),
        char_device("null", 1, 3).mode(0o666),
        file("capable", "x")
            .xattr("security.capability", &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let top = vec![
        dir("back").mode(0o750),
        file("back/top", ""),
        dir("deleted").time(1, 0),
        dir("etc").mode(0o755),
        file("etc/gone", "again"),
        file(".wh.pipe", ""),
    ];
    let tree = assert_like_umoci(&[lower, upper, top]);
    for (path, there) in
        [("opaque/lower", false), ("back/lower", false), ("deleted/x", false), ("etc/gone", true)]
    {
        assert_eq!(tree.contains_key(Path::new(path)), there, "{path}");
    }
}

#[test]
fn entries_of_one_layer_that_replace_each_other() {
    let items = vec![
        dir("a"),
        file("a/x", ""),
        file("a", "now a file"),
        symlink("a", "b"),
        dir("a").mode(0o700),
        file("a/y", ""),
        file("b", "1"),
        file("b", "2").mode(0o4711).owner(7, 7),
        hardlink("c", "b").mode(0o4711).owner(7, 7),
        file("b", "3"),
        char_device("d", 1, 5),
        symlink("d", "a"),
        symlink("e", "/a"),
        file("e/through", "a link"),
        // What goes through a link changes the time of where it leads.
        dir("a").mode(0o700),
    ];
    let tree = assert_like_umoci(&[items]);
    assert_eq!(tree[Path::new("c")].content, b"2");
    assert!(tree.contains_key(Path::new("a/through")));
}
