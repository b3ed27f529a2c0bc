use std::{
    fs,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{MetadataExt, symlink},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use super::{Target, Tree};

/// A root with a canary beside it, removed at the end.
struct Scene(PathBuf);

impl Scene {
    fn new(name: &str) -> (Self, Tree) {
        let top = std::env::temp_dir().join(format!("longshore-tree-{name}-{}", std::process::id()));
        fs::create_dir_all(top.join("root")).unwrap();
        fs::create_dir_all(top.join("host")).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(top.join("root"), flags, Mode::empty()).unwrap();
        (Self(top), Tree::new(root))
    }

    fn root(&self, path: &str) -> PathBuf {
        self.0.join("root").join(path)
    }

    fn assert_host_untouched(&self) {
        assert_eq!(fs::read_dir(self.0.join("host")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(&self.0).unwrap().count(), 2);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn is(fd: &OwnedFd, path: &Path) -> bool {
    let found = rustix::fs::fstat(fd.as_fd()).unwrap();
    let wanted = fs::metadata(path).unwrap();
    (found.st_dev, found.st_ino) == (wanted.dev(), wanted.ino())
}

#[test]
fn makes_directories_and_files_where_they_are_missing() {
    let (scene, tree) = Scene::new("makes");
    let directory = tree.target("/a/b/c", Target::Directory).unwrap();
    assert!(is(&directory, &scene.root("a/b/c")));
    let file = tree.target("/a/f", Target::File).unwrap();
    assert!(is(&file, &scene.root("a/f")));
    // What is there is taken as it is.
    assert!(is(&tree.target("/a/f", Target::File).unwrap(), &scene.root("a/f")));
    assert!(tree.target("/a/f", Target::Directory).is_err());
    assert!(tree.target("/a/b", Target::File).is_err());
    assert!(is(&tree.target("/", Target::Directory).unwrap(), &scene.root("")));
}

/// CVE-2018-15664, CVE-2019-18837: symlinks of the image lead nowhere but into the image.
#[test]
fn symlinks_stay_inside() {
    let (scene, tree) = Scene::new("symlinks");
    let host = scene.0.join("host");
    symlink(&host, scene.root("absolute")).unwrap();
    symlink("../../../../../../../../..", scene.root("up")).unwrap();
    symlink("../host", scene.root("relative")).unwrap();
    for link in ["absolute", "relative"] {
        tree.target(&format!("/{link}/x"), Target::Directory).unwrap();
    }
    tree.target("/up/y", Target::File).unwrap();
    scene.assert_host_untouched();
    assert!(scene.root("host/x").is_dir());
    assert!(scene.root("y").is_file());
    assert!(scene.root(host.strip_prefix("/").unwrap().to_str().unwrap()).join("x").is_dir());
}

/// An image whose `/etc/resolv.conf` points to a file that only exists at run time.
#[test]
fn a_dangling_symlink_is_made_at_its_end() {
    let (scene, tree) = Scene::new("dangling");
    fs::create_dir(scene.root("etc")).unwrap();
    symlink("../run/systemd/resolve/stub.conf", scene.root("etc/resolv.conf")).unwrap();
    let target = tree.target("/etc/resolv.conf", Target::File).unwrap();
    assert!(is(&target, &scene.root("run/systemd/resolve/stub.conf")));
}

#[test]
fn a_loop_of_symlinks_ends() {
    let (scene, tree) = Scene::new("loop");
    symlink("b", scene.root("a")).unwrap();
    symlink("a", scene.root("b")).unwrap();
    symlink("self/x", scene.root("self")).unwrap();
    assert!(tree.target("/a/x", Target::Directory).is_err());
    assert!(tree.target("/self", Target::Directory).is_err());
}

/// CVE-2023-27561, CVE-2026-41579: nothing of the kernel's goes through a symlink of the image.
#[test]
fn the_kernels_directories_may_not_be_symlinks() {
    let (scene, tree) = Scene::new("strict");
    for name in ["proc", "sys", "dev"] {
        symlink("tmp", scene.root(name)).unwrap();
        let error = tree.target(&format!("/{name}"), Target::Directory).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert!(tree.target(&format!("/{name}/x"), Target::Directory).is_err());
        assert!(tree.open(&format!("/{name}"), OFlags::PATH).is_err());
    }
    symlink("tmp", scene.root("developer")).unwrap();
    tree.target("/developer/x", Target::Directory).unwrap();
    assert!(!scene.root("tmp/proc").exists());
}

#[test]
fn a_parent_and_its_name() {
    let (scene, tree) = Scene::new("parent");
    let (parent, name) = tree.parent("/dev/net/tun").unwrap();
    assert!(is(&parent, &scene.root("dev/net")));
    assert_eq!(name, "tun");
    assert_eq!(tree.parent("/x").unwrap().1, "x");
    assert!(tree.parent("/").is_err());
}
