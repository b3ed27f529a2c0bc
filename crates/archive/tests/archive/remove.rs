//! Deleting trees.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore_archive::apply::remove_tree;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, mkdirat, openat, renameat_with};
use tempfile::TempDir;

use crate::mount::Mount;
use crate::outside::Outside;

fn open(path: &Path) -> OwnedFd {
    openat(CWD, path, OFlags::DIRECTORY, Mode::empty()).expect("open")
}

fn remove(directory: &Path, name: &str) -> std::io::Result<()> {
    remove_tree(open(directory).as_fd(), &CString::new(name).expect("a name"))
}

#[test]
fn trees_files_links_and_nothing() {
    let temp = TempDir::new().expect("a directory");
    let outside = Outside::new(&temp.path().join("outside"));
    let dir = temp.path().join("dir");
    for name in ["tree/a/b/c", "tree/d", "tree/e"] {
        fs::create_dir_all(dir.join(name)).expect("mkdir");
    }
    for number in 0..500 {
        fs::write(dir.join(format!("tree/d/{number}")), "").expect("write");
    }
    fs::write(dir.join("file"), "").expect("write");
    symlink(outside.dir(), dir.join("link")).expect("symlink");
    symlink(outside.dir(), dir.join("tree/a/link")).expect("symlink");
    for name in ["tree", "file", "link", "absent"] {
        remove(&dir, name).expect("removed");
    }
    assert_eq!(fs::read_dir(&dir).expect("read").count(), 0);
    outside.assert_untouched(&"remove");
}

#[test]
fn c1_11_a_tree_100000_deep() {
    let tmpfs = Mount::tmpfs();
    let mut inner = open(&tmpfs.path());
    for _ in 0..100_000 {
        mkdirat(&inner, "d", Mode::RWXU).expect("mkdir");
        inner = openat(&inner, "d", OFlags::DIRECTORY, Mode::empty()).expect("open");
    }
    drop(inner);
    // Names that the removal itself would like to use.
    fs::create_dir(tmpfs.path().join("d/.hoisted-0")).expect("mkdir");
    fs::write(tmpfs.path().join("d/.hoisted-1"), "").expect("write");
    remove(&tmpfs.path(), "d").expect("removed");
    assert_eq!(fs::read_dir(tmpfs.path()).expect("read").count(), 0);
}

/// A directory below the tree is exchanged with a link to the outside for ever.
#[test]
fn a7_131_a_racer_does_not_lead_the_removal_outside() {
    let temp = TempDir::new().expect("a directory");
    let outside = Outside::new(&temp.path().join("outside"));
    let stop = AtomicBool::new(false);
    let tree = temp.path().join("tree");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let (one, other) = (tree.join("a/victim"), tree.join("a/link"));
                let _ = renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
            }
        });
        for _ in 0..100 {
            fs::create_dir_all(tree.join("a/victim/x")).expect("mkdir");
            fs::create_dir_all(tree.join("a/victim/inner/deep")).expect("mkdir");
            symlink(outside.dir(), tree.join("a/link")).expect("symlink");
            // Errors are allowed, and that something is left. Reaching outside is not.
            let mut tries = 0;
            while remove(temp.path(), "tree").is_err() || tree.exists() {
                tries += 1;
                assert!(tries < 1000, "never gone");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    outside.assert_untouched(&"a racer");
}

/// What is mounted below a tree is not part of it.
#[test]
fn a_mount_below_the_tree_is_not_emptied() {
    let temp = TempDir::new().expect("a directory");
    let tmpfs = Mount::tmpfs();
    fs::write(tmpfs.path().join("kept"), "").expect("write");
    let place = temp.path().join("tree/mounted");
    fs::create_dir_all(&place).expect("mkdir");
    let attached = tmpfs.attach(&place);
    let error = remove(temp.path(), "tree").expect_err("a mount is in the way");
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::XDEV.raw_os_error()));
    assert!(place.join("kept").exists());
    drop(attached);
    remove(temp.path(), "tree").expect("removed");
}
