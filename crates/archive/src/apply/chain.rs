//! The directories from the root to where the archive is at the moment, held open.
//!
//! Archives list a directory's files one after the other, so most entries find their parent open and
//! walk nothing. A directory gets its time when it is left: what is made in it later marks it again.
//!
//! A part of a path that is a symbolic link is followed inside of the root, as Docker does (the layer
//! `a -> /etc`, `a/passwd` has its file in `etc/passwd`): by `openat2`, with the root as `/`.

use std::{
    collections::HashMap,
    ffi::CString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use longshore_sys::resolve;
use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid, XattrFlags, fchmod, fchown, fsetxattr,
        fstat, futimens, mkdirat, openat, statat, unlinkat,
    },
    io::Errno,
};

use super::{Within, error::Failure, name, xattr};

/// Levels that are kept open. Deeper paths open again what they leave behind.
const OPEN: usize = 64;
/// Mode of directories that the archive implies but does not have (Docker's `ImpliedDirectoryMode`).
const IMPLIED: u32 = 0o755;
const SETGID: u32 = 0o2000;

/// What is done to a directory when nothing more is made in it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) times: Timestamps,
    pub(super) default_acl: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Level {
    /// Where its path ends in `Chain::path`.
    end: usize,
    /// `None` where too many are open.
    fd: Option<OwnedFd>,
    device: u64,
    inode: u64,
    /// The group that new files get in a directory with setgid.
    group: Option<u32>,
    /// Something was made in it since its time was set.
    changed: bool,
}

#[derive(Debug)]
pub(super) struct Chain<'r> {
    root: BorrowedFd<'r>,
    /// Where links are followed, if not in the root.
    within: Option<Within<'r>>,
    root_inode: u64,
    root_group: Option<u32>,
    path: Vec<u8>,
    levels: Vec<Level>,
    /// By device and inode: the same directory may be reached by several paths.
    pending: HashMap<(u64, u64), Pending>,
    /// A level was reached by a link, so a level may be below a name that is replaced.
    linked: bool,
    /// Where links of the archive lead: the last directory that was looked up for one.
    aside: Option<(Vec<u8>, OwnedFd)>,
    /// Whiteouts are devices here, and may turn into directories again.
    overlay: bool,
    pub(super) made: u64,
}

/// The directory in which an entry is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parent<'c> {
    pub(super) fd: BorrowedFd<'c>,
    pub(super) inode: u64,
    /// The group that it gives to new files, where that is not the process's.
    pub(super) group: Option<u32>,
}

impl<'r> Chain<'r> {
    pub(super) fn new(
        root: BorrowedFd<'r>,
        overlay: bool,
        within: Option<Within<'r>>,
    ) -> Result<Chain<'r>, Failure> {
        let stat = fstat(root).map_err(Failure::of("look at the root"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(Failure::System("look at the root", Errno::NOTDIR));
        }
        Ok(Chain {
            root,
            within,
            root_inode: stat.st_ino,
            root_group: inherited(&stat),
            path: Vec::new(),
            levels: Vec::new(),
            pending: HashMap::new(),
            linked: false,
            aside: None,
            overlay,
            made: 0,
        })
    }

    /// Goes to the directory `path` (clean); makes what is missing with the times `implied`, or fails.
    pub(super) fn enter(&mut self, path: &[u8], implied: Option<&Timestamps>) -> Result<(), Failure> {
        if self.path != path {
            let mut shared = 0;
            for level in &self.levels {
                let same = path.len() >= level.end
                    && path[..level.end] == self.path[..level.end]
                    && path.get(level.end).is_none_or(|byte| *byte == b'/');
                if !same {
                    break;
                }
                shared += 1;
            }
            self.leave(shared)?;
            let rest = path.get(self.path.len()..).unwrap_or_default();
            for part in rest.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
                self.descend(part, implied)?;
            }
        }
        self.reopen()?;
        if let Some(level) = self.levels.last_mut() {
            level.changed = true;
        }
        Ok(())
    }

    /// The directory where the chain is.
    pub(super) fn parent(&self) -> Parent<'_> {
        match self.levels.last() {
            Some(Level { fd: Some(fd), inode, group, .. }) => {
                Parent { fd: fd.as_fd(), inode: *inode, group: *group }
            }
            // A level without descriptor is opened by `enter`, and before each descent.
            _ => Parent { fd: self.root, inode: self.root_inode, group: self.root_group },
        }
    }

    /// All directories of the chain but the root: inode of the parent, and the name.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut parent = self.root_inode;
        self.levels.iter().map(move |level| {
            let above = std::mem::replace(&mut parent, level.inode);
            (above, name::split(&self.path[..level.end]).1)
        })
    }

    /// Opens the directory `name` of the current one, which exists, and goes there.
    pub(super) fn push(&mut self, name: &[u8]) -> Result<Stat, Failure> {
        let fd = open(self.parent().fd, name).map_err(Failure::of("open the directory"))?;
        self.add(name, fd)
    }

    /// The directory that was just entered has this owner and mode now.
    pub(super) fn changed(&mut self, group: u32, mode: u32) {
        if let Some(level) = self.levels.last_mut() {
            level.group = (mode & SETGID != 0).then_some(group);
            level.changed = true;
        }
    }

    /// What is done to the directory where the chain is when it is complete.
    pub(super) fn pend(&mut self, pending: Pending) {
        let Some(level) = self.levels.last() else { return };
        let place = (level.device, level.inode);
        let pending = match (self.pending.remove(&place), pending) {
            (Some(Pending { default_acl: Some(before), .. }), Pending { times, default_acl: None }) => {
                Pending { times, default_acl: Some(before) }
            }
            (_, pending) => pending,
        };
        self.pending.insert(place, pending);
    }

    /// A directory or link was deleted: nothing that was resolved before holds any more.
    pub(super) fn forget(&mut self) -> Result<(), Failure> {
        self.aside = None;
        if !self.linked {
            // The levels are the parents of what was deleted: they are still there.
            return Ok(());
        }
        let path = self.path.clone();
        self.leave(0)?;
        self.linked = false;
        self.enter(&path, None)
    }

    /// Looks up the directory of a link's target. Nothing is made.
    pub(super) fn find(&mut self, path: &[u8]) -> Result<(), Failure> {
        let known = self.aside.as_ref().is_some_and(|(known, _)| known == path);
        if !known && !path.is_empty() && path != self.path {
            let fd = self.resolve(path, OFlags::PATH).map_err(Failure::of("find the target of the link"))?;
            self.aside = Some((path.to_owned(), fd));
        }
        Ok(())
    }

    /// The directory that `find` looked up.
    pub(super) fn found(&self, path: &[u8]) -> BorrowedFd<'_> {
        match &self.aside {
            _ if path.is_empty() => self.root,
            Some((known, fd)) if path != self.path && known == path => fd.as_fd(),
            _ => self.parent().fd,
        }
    }

    /// Leaves all directories.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.leave(0)
    }

    fn leave(&mut self, keep: usize) -> Result<(), Failure> {
        while self.levels.len() > keep {
            if let Some(level) = self.levels.pop() {
                settle(&mut self.pending, &level)?;
            }
        }
        self.path.truncate(self.levels.last().map_or(0, |level| level.end));
        Ok(())
    }

    /// Opens the current directory if it is not.
    fn reopen(&mut self) -> Result<(), Failure> {
        if self.levels.last().is_some_and(|level| level.fd.is_none()) {
            let fd = self.resolve(&self.path, OFlags::RDONLY).map_err(Failure::of("open the directory"))?;
            if let Some(level) = self.levels.last_mut() {
                level.fd = Some(fd);
            }
        }
        Ok(())
    }

    /// Opens a directory below the root; links lead where they would with the root as `/`.
    fn resolve(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let bits = i32::try_from((flags | OFlags::DIRECTORY).bits()).map_err(|_| Errno::INVAL)?;
        let how = resolve::how::IN_ROOT | resolve::how::NO_MAGICLINKS;
        let (root, path, how) = match &self.within {
            Some(within) => (within.root, [within.at, b"/", path].concat(), how),
            None => (self.root, path.to_owned(), how | resolve::how::NO_XDEV),
        };
        let path = CString::new(path).map_err(|_| Errno::INVAL)?;
        resolve::open(root, &path, bits, how)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    fn descend(&mut self, name: &[u8], implied: Option<&Timestamps>) -> Result<(), Failure> {
        self.reopen()?;
        match open(self.parent().fd, name) {
            Ok(fd) => self.add(name, fd).map(drop),
            Err(Errno::NOENT) => self.imply(name, implied),
            Err(Errno::NOTDIR | Errno::LOOP) => self.detour(name, implied),
            Err(errno) => Err(Failure::System("open the directory", errno)),
        }
    }

    /// Goes through a name that is no directory.
    fn detour(&mut self, name: &[u8], implied: Option<&Timestamps>) -> Result<(), Failure> {
        let parent = self.parent();
        let stat = statat(parent.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Failure::of("look at the directory"))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let mut path = self.path.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(name);
                let fd = self
                    .resolve(&path, OFlags::RDONLY)
                    .map_err(Failure::of("follow the link in its path"))?;
                self.linked = true;
                self.add(name, fd).map(drop)
            }
            // Deleted by this layer, and made again: nothing of the layers below may show through.
            _ if self.overlay && is_whiteout(&stat) => {
                unlinkat(parent.fd, name, AtFlags::empty()).map_err(Failure::of("replace a whiteout"))?;
                self.imply(name, implied)?;
                self.make_opaque()
            }
            _ => Err(Failure::System("go through a file that is no directory", Errno::NOTDIR)),
        }
    }

    /// Makes a directory that the archive does not have, as Docker does: root's, mode 0755.
    fn imply(&mut self, name: &[u8], implied: Option<&Timestamps>) -> Result<(), Failure> {
        let implied = implied.ok_or(Failure::System("open the directory", Errno::NOENT))?;
        let parent = self.parent();
        mkdirat(parent.fd, name, Mode::from_raw_mode(IMPLIED)).map_err(Failure::of("make the directory"))?;
        self.made += 1;
        if let Some(level) = self.levels.last_mut() {
            level.changed = true;
        }
        let stat = self.push(name)?;
        let fd = self.parent().fd;
        if (stat.st_uid, stat.st_gid) != (0, 0) && rustix::process::geteuid().is_root() {
            fchown(fd, Some(Uid::ROOT), Some(Gid::ROOT)).map_err(Failure::of("set the owner"))?;
        }
        if stat.st_mode & 0o7777 != IMPLIED {
            fchmod(fd, Mode::from_raw_mode(IMPLIED)).map_err(Failure::of("set the mode"))?;
        }
        self.changed(0, IMPLIED);
        self.pend(Pending { times: implied.clone(), default_acl: None });
        Ok(())
    }

    /// Marks the current directory: what layers below have in it is hidden.
    pub(super) fn make_opaque(&mut self) -> Result<(), Failure> {
        fsetxattr(self.parent().fd, xattr::OPAQUE, b"y", XattrFlags::empty())
            .map_err(Failure::of("mark the directory as opaque"))
    }

    /// Whether the chain is at the root, be it by a link.
    pub(super) fn at_root(&self) -> bool {
        self.parent().inode == self.root_inode
    }

    fn add(&mut self, name: &[u8], fd: OwnedFd) -> Result<Stat, Failure> {
        let stat = fstat(&fd).map_err(Failure::of("look at the directory"))?;
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        let level = Level {
            end: self.path.len(),
            device: stat.st_dev,
            inode: stat.st_ino,
            group: inherited(&stat),
            fd: Some(fd),
            changed: false,
        };
        self.levels.push(level);
        if let Some(far) = self.levels.len().checked_sub(OPEN + 1) {
            let level = &mut self.levels[far];
            settle(&mut self.pending, level)?;
            level.changed = false;
            level.fd = None;
        }
        Ok(stat)
    }
}

/// Sets the time of a directory that is left.
fn settle(pending: &mut HashMap<(u64, u64), Pending>, level: &Level) -> Result<(), Failure> {
    let (true, Some(fd)) = (level.changed, &level.fd) else { return Ok(()) };
    let Some(pending) = pending.get_mut(&(level.device, level.inode)) else { return Ok(()) };
    if let Some(acl) = pending.default_acl.take() {
        xattr::set(fd.as_fd(), xattr::DEFAULT_ACL, &acl)?;
    }
    futimens(fd, &pending.times).map_err(Failure::of("set the time of the directory"))
}

/// Opens a directory in another, never through a link.
fn open(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}

/// Overlay's form of a deleted name.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn inherited(stat: &Stat) -> Option<u32> {
    (stat.st_mode & SETGID != 0).then_some(stat.st_gid)
}
