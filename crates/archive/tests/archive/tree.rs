//! What a directory holds, to be compared.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Everything that can be seen of one file, but its inode number and the times that the kernel sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// With the type.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: (i64, i64),
    pub(crate) device: u64,
    /// Content of a file, target of a link.
    pub(crate) content: Vec<u8>,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first name of the same inode.
    pub(crate) same_as: PathBuf,
}

pub(crate) type Tree = BTreeMap<PathBuf, Node>;

/// The tree below `root` without the root itself.
pub(crate) fn look(root: &Path) -> Tree {
    let mut found = Tree::new();
    let mut inodes = BTreeMap::new();
    walk(root, Path::new(""), &mut found, &mut inodes);
    found
}

/// The tree with the root itself, as the empty path.
pub(crate) fn look_with_root(root: &Path) -> Tree {
    let mut found = look(root);
    found.insert(PathBuf::new(), node(root, Path::new(""), &mut BTreeMap::new()));
    found
}

fn walk(root: &Path, below: &Path, found: &mut Tree, inodes: &mut BTreeMap<u64, PathBuf>) {
    let mut names: Vec<_> =
        fs::read_dir(root.join(below)).expect("read").map(|entry| entry.expect("read").file_name()).collect();
    names.sort();
    for name in names {
        let path = below.join(name);
        // Overlay lists whiteouts of a directory that no other layer has, but there is no such file.
        if fs::symlink_metadata(root.join(&path)).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            continue;
        }
        let node = node(root, &path, inodes);
        let is_dir = node.mode & 0o170000 == 0o040000;
        found.insert(path.clone(), node);
        if is_dir {
            walk(root, &path, found, inodes);
        }
    }
}

fn node(root: &Path, path: &Path, inodes: &mut BTreeMap<u64, PathBuf>) -> Node {
    let full = root.join(path);
    let metadata = fs::symlink_metadata(&full).expect("stat");
    let kind = metadata.file_type();
    let content = if kind.is_file() {
        fs::read(&full).expect("read")
    } else if kind.is_symlink() {
        fs::read_link(&full).expect("readlink").as_os_str().as_bytes().to_vec()
    } else {
        Vec::new()
    };
    Node {
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        device: if kind.is_char_device() || kind.is_block_device() { metadata.rdev() } else { 0 },
        content,
        xattrs: xattrs(&full),
        same_as: inodes.entry(metadata.ino()).or_insert_with(|| path.to_owned()).clone(),
    }
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut names[..]).expect("listxattr");
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let length =
                rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).expect("getxattr");
            (name.to_vec(), value[..length].to_vec())
        })
        .collect()
}

/// The paths, one per line, for short assertions.
pub(crate) fn paths(root: &Path) -> Vec<String> {
    look(root).into_keys().map(|path| path.display().to_string()).collect()
}

/// Asserts that two trees are the same, and shows what differs.
#[track_caller]
pub(crate) fn assert_same(one: &Tree, other: &Tree) {
    let shown: Vec<String> = differences(one, other).into_iter().take(20).collect();
    assert!(shown.is_empty(), "the trees differ:\n{}", shown.join("\n"));
}

/// One line for each file that differs.
pub(crate) fn differences(one: &Tree, other: &Tree) -> Vec<String> {
    let mut paths: Vec<&PathBuf> = one.keys().chain(other.keys()).collect();
    paths.sort();
    paths.dedup();
    let differs = paths.into_iter().filter(|path| one.get(*path) != other.get(*path));
    differs.map(|path| format!("{}: {:?}\n  {:?}", path.display(), one.get(path), other.get(path))).collect()
}
