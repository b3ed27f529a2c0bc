//! A tree in order: each directory before what is in it, names sorted by their bytes.
//!
//! By descriptor, without following links; what vanishes meanwhile is left out. Only the deepest levels
//! are open at once, the others are found again through `..`, which must lead where it did before.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Dir, FileType, Mode, OFlags, Stat, fstat, openat},
    io::Errno,
};

use super::error::Error;

/// Levels that are kept open.
const OPEN: usize = 64;

/// One file of a tree.
#[derive(Debug)]
pub(super) struct Found {
    /// From the root, without a slash at either end.
    pub(super) path: Vec<u8>,
    pub(super) name: CString,
    pub(super) stat: Stat,
    pub(super) kind: FileType,
    /// The thing itself, for looking only (`O_PATH`).
    pub(super) fd: OwnedFd,
    /// How many directories are above it, the root not counted.
    pub(super) depth: usize,
}

/// Walks through a tree.
#[derive(Debug)]
pub(super) struct Walk<'r> {
    root: BorrowedFd<'r>,
    levels: Vec<Level>,
    path: Vec<u8>,
    started: bool,
}

#[derive(Debug)]
struct Level {
    /// `None` for the root, and where too many are open.
    fd: Option<OwnedFd>,
    identity: (u64, u64),
    /// Names that are still to come, the last first.
    names: Vec<CString>,
    /// Where its path ends in `Walk::path`.
    end: usize,
}

impl<'r> Walk<'r> {
    pub(super) fn new(root: BorrowedFd<'r>) -> Walk<'r> {
        Walk { root, levels: Vec::new(), path: Vec::new(), started: false }
    }

    /// The next file. The root itself is not one.
    pub(super) fn next(&mut self) -> Result<Option<Found>, Error> {
        if !self.started {
            self.started = true;
            let names = list(self.root).map_err(Error::read("list the directory", b"/"))?;
            self.levels.push(Level { fd: None, identity: (0, 0), names, end: 0 });
        }
        loop {
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            self.path.truncate(level.end);
            let Some(name) = level.names.pop() else {
                self.leave()?;
                continue;
            };
            if let Some(found) = self.look(name)? {
                return Ok(Some(found));
            }
        }
    }

    /// The directory that holds what `next` gave last.
    pub(super) fn parent(&self, found: &Found) -> BorrowedFd<'_> {
        let level = self.levels.get(found.depth).and_then(|level| level.fd.as_ref());
        level.map_or(self.root, |fd| fd.as_fd())
    }

    /// Opens `name` in the current directory; goes into it if it is a directory.
    fn look(&mut self, name: CString) -> Result<Option<Found>, Error> {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.to_bytes());
        let depth = self.levels.len() - 1;
        let parent =
            self.levels.last().and_then(|level| level.fd.as_ref()).map_or(self.root, |fd| fd.as_fd());
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = Error::read("open", &self.path);
        let fd = match openat(parent, &name, flags, Mode::empty()) {
            // Deleted meanwhile, or one of overlay's own that only shows in lists.
            Err(Errno::NOENT) => return Ok(None),
            fd => fd.map_err(failed)?,
        };
        let stat = fstat(&fd).map_err(Error::read("look at", &self.path))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let path = self.path.clone();
        if kind != FileType::Directory {
            return Ok(Some(Found { path, name, stat, kind, fd, depth }));
        }
        let inner = open_dir(fd.as_fd(), c".").map_err(Error::read("open", &self.path))?;
        let names = list(inner.as_fd()).map_err(Error::read("list the directory", &self.path))?;
        let identity = (stat.st_dev, stat.st_ino);
        self.levels.push(Level { fd: Some(inner), identity, names, end: self.path.len() });
        if let Some(far) = self.levels.len().checked_sub(OPEN + 1) {
            self.levels[far].fd = None;
        }
        Ok(Some(Found { path, name, stat, kind, fd, depth }))
    }

    /// Leaves the current directory, and finds the one above it again.
    fn leave(&mut self) -> Result<(), Error> {
        let left = self.levels.pop();
        let depth = self.levels.len();
        let (Some(Level { fd: Some(left), .. }), Some(level)) = (left, self.levels.last_mut()) else {
            return Ok(());
        };
        if depth > 1 && level.fd.is_none() {
            self.path.truncate(level.end);
            let failed = Error::read("go back to", &self.path);
            let above = open_dir(left.as_fd(), c"..").map_err(&failed)?;
            let stat = fstat(&above).map_err(&failed)?;
            if (stat.st_dev, stat.st_ino) != level.identity {
                // Somebody moved it elsewhere.
                return Err(failed(Errno::NOENT));
            }
            level.fd = Some(above);
        }
        Ok(())
    }
}

/// Looks at `name` in a directory, as what a tree begins with.
pub(super) fn look_at(parent: BorrowedFd<'_>, name: &CStr) -> Result<Found, Error> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(parent, name, flags, Mode::empty()).map_err(Error::read("open", name.to_bytes()))?;
    let stat = fstat(&fd).map_err(Error::read("look at", name.to_bytes()))?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    Ok(Found { path: Vec::new(), name: name.to_owned(), stat, kind, fd, depth: 0 })
}

pub(super) fn open_dir(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}

/// The names in a directory, the last first.
fn list(directory: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort_unstable_by(|one, other| other.cmp(one));
    Ok(names)
}
