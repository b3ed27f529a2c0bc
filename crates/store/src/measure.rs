//! Counting what a tree holds, by descriptor, following nothing.

use std::{
    collections::HashSet,
    ffi::{CStr, CString, OsStr},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};

use crate::{
    db,
    dir::Dir,
    error::{At, Result},
};

/// What a tree holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Content of regular files, hard links once.
    pub bytes: u64,
    /// Files of all kinds with the directories, hard links once.
    pub inodes: u64,
}

/// Levels whose descriptors are kept; those above are opened again through `..` on the way back.
const DEPTH: usize = 64;

/// A directory that is being looked through.
struct Level {
    fd: Option<OwnedFd>,
    inode: (u64, u64),
    directories: Vec<CString>,
}

/// Counts `name` in `from`, whatever it is, with everything below it.
pub(crate) fn measure(from: &Dir, name: impl AsRef<OsStr>) -> Result<Usage> {
    let path = from.join(&name);
    let name = CString::new(name.as_ref().as_bytes()).map_err(|_| Errno::INVAL).at("count", &path)?;
    tree(from.as_fd(), &name).at("count", path)
}

fn tree(from: BorrowedFd<'_>, name: &CStr) -> Result<Usage, Errno> {
    let mut count = Count::default();
    let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    count.add(&stat);
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(count.usage);
    }
    let mut levels = vec![count.enter(from, name)?];
    loop {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { return Ok(count.usage) };
        let Some(name) = level.directories.pop() else {
            let below = levels.pop();
            if let (Some(below), Some(level)) = (below, levels.last_mut()) {
                level.come_back(&below)?;
            }
            continue;
        };
        let Some(fd) = &level.fd else { return Err(Errno::BADF) };
        let below = match count.enter(fd.as_fd(), &name) {
            Ok(below) => below,
            // A live snapshot changes while it is counted.
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(error) => return Err(error),
        };
        levels.push(below);
        if depth >= DEPTH
            && let Some(above) = levels.get_mut(depth - DEPTH)
        {
            above.fd = None;
        }
    }
}

impl Level {
    /// Opens the directory again that `below` is in, if its descriptor was given up.
    fn come_back(&mut self, below: &Self) -> Result<(), Errno> {
        let (None, Some(from)) = (&self.fd, &below.fd) else { return Ok(()) };
        let fd = rustix::fs::openat(from, "..", open_flags(), Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        if (stat.st_dev, stat.st_ino) != self.inode {
            return Err(Errno::STALE);
        }
        self.fd = Some(fd);
        Ok(())
    }
}

fn open_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

#[derive(Default)]
struct Count {
    usage: Usage,
    /// Inodes with several names that were counted.
    linked: HashSet<(u64, u64)>,
}

impl Count {
    fn add(&mut self, stat: &Stat) {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::Directory && stat.st_nlink > 1 && !self.linked.insert((stat.st_dev, stat.st_ino))
        {
            return;
        }
        self.usage.inodes += 1;
        if kind == FileType::RegularFile {
            self.usage.bytes += db::size(stat.st_size);
        }
    }

    /// Counts what is in a directory, and notes the directories among it.
    fn enter(&mut self, above: BorrowedFd<'_>, name: &CStr) -> Result<Level, Errno> {
        let fd = rustix::fs::openat(above, name, open_flags(), Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        let mut directories = Vec::new();
        for entry in rustix::fs::Dir::read_from(&fd)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let found = match rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => found,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error),
            };
            self.add(&found);
            if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
                directories.push(name.to_owned());
            }
        }
        Ok(Level { fd: Some(fd), inode: (stat.st_dev, stat.st_ino), directories })
    }
}
