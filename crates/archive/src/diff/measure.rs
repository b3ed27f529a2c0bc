use std::{collections::HashSet, os::fd::BorrowedFd};

use rustix::fs::FileType;

use super::{error::Error, walk::Walk};

/// How much a tree holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Files of all kinds below the root; whiteouts too. Hard links count once.
    pub inodes: u64,
    /// Regular files.
    pub files: u64,
    /// As Docker counts: the lengths of files, holes included, and of the targets of links.
    pub bytes: u64,
}

/// Measures a layer, or what a container wrote.
pub fn measure(root: BorrowedFd<'_>) -> Result<Measured, Error> {
    let mut measured = Measured::default();
    let mut seen = HashSet::new();
    let mut walk = Walk::new(root);
    while let Some(found) = walk.next()? {
        let stat = &found.stat;
        if found.kind != FileType::Directory {
            if stat.st_nlink > 1 && !seen.insert((stat.st_dev, stat.st_ino)) {
                continue;
            }
            measured.bytes += u64::try_from(stat.st_size).unwrap_or_default();
        }
        measured.inodes += 1;
        measured.files += u64::from(found.kind == FileType::RegularFile);
    }
    Ok(measured)
}
