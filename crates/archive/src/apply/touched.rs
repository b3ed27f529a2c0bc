//! What a layer has put into a plain tree, and deleting all else: there a whiteout deletes what layers
//! before have left, in whatever order the archive is.

use std::{
    collections::HashSet,
    ffi::CString,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Dir, Mode, OFlags, fstat, openat},
    io::Errno,
};

use super::remove::remove_tree;

/// Names that a layer made or went through, each by its directory's inode; 8 bytes for each.
#[derive(Debug, Default)]
pub(super) struct Touched(HashSet<u64>);

impl Touched {
    pub(super) fn add(&mut self, directory: u64, name: &[u8]) {
        self.0.insert(Self::key(directory, name));
    }

    pub(super) fn has(&self, directory: u64, name: &[u8]) -> bool {
        self.0.contains(&Self::key(directory, name))
    }

    fn key(directory: u64, name: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (directory, name).hash(&mut hasher);
        hasher.finish()
    }
}

/// Deletes all in the directory but what was touched.
pub(super) fn prune(directory: BorrowedFd<'_>, touched: &Touched) -> io::Result<()> {
    // Only what the layer touched is descended into: no deeper than its paths are.
    let mut open_directories = vec![open(directory, b".")?];
    while let Some(directory) = open_directories.pop() {
        let inode = fstat(&directory)?.st_ino;
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let name = entry?.file_name().to_owned();
            if name.as_c_str() != c"." && name.as_c_str() != c".." {
                names.push(name);
            }
        }
        for name in names {
            if !touched.has(inode, name.to_bytes()) {
                remove_tree(directory.as_fd(), &name)?;
            } else if let Ok(inner) = open(directory.as_fd(), name.to_bytes()) {
                open_directories.push(inner);
            }
        }
    }
    Ok(())
}

/// Deletes a name with all below it.
pub(super) fn remove(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    remove_tree(directory, &name)
}

/// Opens a directory in another, never through a link.
pub(super) fn open(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}
