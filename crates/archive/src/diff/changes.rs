use std::{
    collections::HashSet,
    ffi::OsString,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::PathBuf,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, openat, statat},
    io::Errno,
};

use super::{
    attributes_of,
    error::Error,
    walk::{Found, Walk},
};
use crate::apply::is_whiteout;

/// One line of `docker diff`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    /// From the root, with a slash in front.
    pub path: PathBuf,
}

/// The numbers are those of Docker's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ChangeKind {
    Modified = 0,
    Added = 1,
    Deleted = 2,
}

/// What a container changed: its upper directory, compared with all layers below it (`lower`, their
/// merged tree). As Docker's overlay driver lists it, in its order:
///
/// * a directory that is opaque counts as deleted (it replaced one), what is in it as usual;
/// * a directory of which size, mode and time are as below is not listed for itself;
/// * what was added or deleted has the directory around it listed as modified.
pub fn changes(upper: BorrowedFd<'_>, lower: BorrowedFd<'_>) -> Result<Vec<Change>, Error> {
    let mut listed = List::default();
    let mut walk = Walk::new(upper);
    // By depth: the same directory below, where there is one.
    let mut below: Vec<Option<OwnedFd>> = Vec::new();
    while let Some(found) = walk.next()? {
        below.truncate(found.depth);
        let around = match below.last() {
            None => Some(lower),
            Some(fd) => fd.as_ref().map(|fd| fd.as_fd()),
        };
        let before = match around.map(|around| statat(around, &found.name, AtFlags::SYMLINK_NOFOLLOW)) {
            None | Some(Err(Errno::NOENT | Errno::NOTDIR)) => None,
            Some(stat) => Some(stat.map_err(Error::read("look below at", &found.path))?),
        };
        if found.kind == FileType::Directory {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let open = |around| openat(around, &found.name, flags, Mode::empty()).ok();
            below.push(around.and_then(open));
        }
        let deleted = is_whiteout(&found.stat)
            || found.kind == FileType::Directory
                && attributes_of(found.fd.as_fd(), walk.parent(&found), &found.name, &found.path, false)?
                    .opaque
                    == Some(b'y');
        let kind = match before {
            _ if deleted => ChangeKind::Deleted,
            None => ChangeKind::Added,
            Some(before) if unchanged(&found, &before) => continue,
            Some(_) => ChangeKind::Modified,
        };
        listed.add(kind, &found);
    }
    Ok(listed.changes)
}

#[derive(Default)]
struct List {
    changes: Vec<Change>,
    /// Directories that need not be listed again for what is in them.
    directories: HashSet<Vec<u8>>,
}

impl List {
    fn add(&mut self, kind: ChangeKind, found: &Found) {
        if found.kind == FileType::Directory {
            self.directories.insert(found.path.clone());
        }
        if kind != ChangeKind::Modified
            && let Some(end) = found.path.iter().rposition(|byte| *byte == b'/')
        {
            let around = &found.path[..end];
            if !self.directories.contains(around) {
                self.directories.insert(around.to_owned());
                self.push(ChangeKind::Modified, around);
            }
        }
        self.push(kind, &found.path);
    }

    fn push(&mut self, kind: ChangeKind, path: &[u8]) {
        let path = PathBuf::from(OsString::from_vec([b"/", path].concat()));
        self.changes.push(Change { kind, path });
    }
}

/// Whether a directory was only copied up for what is in it.
fn unchanged(found: &Found, before: &Stat) -> bool {
    let now = &found.stat;
    // Archives may have cut the time off to seconds.
    let nanoseconds =
        now.st_mtime_nsec == before.st_mtime_nsec || now.st_mtime_nsec == 0 || before.st_mtime_nsec == 0;
    found.kind == FileType::Directory
        && FileType::from_raw_mode(before.st_mode) == FileType::Directory
        && (now.st_size, now.st_mode, now.st_mtime) == (before.st_size, before.st_mode, before.st_mtime)
        && nanoseconds
}
