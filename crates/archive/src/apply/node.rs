//! Making one file system object of each kind, and giving it its owner, mode, attributes and times.
//!
//! Each is made under its final name with `O_EXCL` or the like, so that the usual case, a new name,
//! costs no lookup. Only what a new file does not have by itself is set: the owner where it is not the
//! process, the mode where the umask took something away.

use std::{
    io::Read,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chmodat, chownat, fchmod,
        fchown, ftruncate, futimens, linkat, makedev, mkdirat, mknodat, openat, statat, symlinkat, utimensat,
    },
    io::{Errno, pwrite, write},
};

use super::{
    Applier,
    chain::{Chain, Parent, Pending, is_whiteout},
    error::{Failure, Refusal},
    name, xattr,
};
use crate::entry::{Entry, Kind};

const PERMISSIONS: u32 = 0o777;

impl<R: Read> Applier<'_, '_, R> {
    /// Makes the file system object of `entry` as `name` in the directory where the chain is.
    pub(super) fn make(&mut self, entry: &Entry, name: &[u8]) -> Result<(), Failure> {
        match entry.kind {
            Kind::File => self.file(entry, name),
            Kind::Directory => self.directory(entry, name),
            Kind::Symlink => self.symlink(entry, name),
            Kind::Hardlink => self.hardlink(entry, name),
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => self.device(entry, name),
        }
    }

    fn file(&mut self, entry: &Entry, name: &[u8]) -> Result<(), Failure> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(entry.mode & PERMISSIONS);
        let fd = self.replacing(name, |parent| openat(parent, name, flags, mode), "create the file")?;
        self.content(fd.as_fd(), entry)?;
        let parent = self.chain.parent();
        let chowned = self.owner(entry, &parent);
        if let Some((uid, gid)) = chowned {
            fchown(&fd, uid, gid).map_err(Failure::of("set the owner"))?;
        }
        // After the owner and the content: changing either takes capabilities away.
        let mut acl = false;
        for (key, value) in &entry.xattrs {
            if xattr::belongs_to_layers(key) && xattr::set(fd.as_fd(), key, value)? {
                acl |= key == xattr::ACL;
            } else {
                self.applied.xattrs_left_out += 1;
            }
        }
        if acl || entry.mode & PERMISSIONS & !self.umask != entry.mode {
            fchmod(&fd, Mode::from_raw_mode(entry.mode)).map_err(Failure::of("set the mode"))?;
        }
        futimens(&fd, &times(entry)).map_err(Failure::of("set the time"))?;
        self.applied.files += 1;
        self.applied.inodes += 1;
        self.applied.bytes += entry.size;
        Ok(())
    }

    /// Copies the content from the archive; what lies between the pieces becomes holes.
    fn content(&mut self, file: BorrowedFd<'_>, entry: &Entry) -> Result<(), Failure> {
        while let Some((mut at, _)) = self.tar.next_piece()? {
            loop {
                let chunk = self.tar.chunk()?;
                if chunk.is_empty() {
                    break;
                }
                let written =
                    if entry.sparse.is_none() { write(file, chunk) } else { pwrite(file, chunk, at) };
                let written = match written {
                    Err(Errno::INTR) => continue,
                    other => other.map_err(Failure::of("write the file"))?,
                };
                self.tar.advance(written);
                at += written as u64;
            }
        }
        if entry.sparse.is_some() {
            ftruncate(file, entry.size).map_err(Failure::of("set the length of the file"))?;
        }
        Ok(())
    }

    fn directory(&mut self, entry: &Entry, name: &[u8]) -> Result<(), Failure> {
        let mode = Mode::from_raw_mode(entry.mode & PERMISSIONS);
        let parent = self.chain.parent().fd;
        let mut replaced = false;
        match mkdirat(parent, name, mode) {
            Ok(()) => self.applied.inodes += 1,
            Err(Errno::EXIST) => {
                let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(Failure::of("look at the old file"))?;
                // A directory over a directory leaves what is in it.
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    if self.options.keep_kinds {
                        return Err(Refusal::DirectoryOver.into());
                    }
                    self.clear(name)?;
                    mkdirat(self.chain.parent().fd, name, mode).map_err(Failure::of("make the directory"))?;
                    replaced = true;
                    self.applied.inodes += 1;
                }
            }
            Err(errno) => return Err(Failure::System("make the directory", errno)),
        }
        let stat = self.chain.push(name)?;
        if replaced && self.overlay() {
            // What was here in this layer hid the directory below, which must not come back.
            self.chain.make_opaque()?;
        }
        let fd = self.chain.parent().fd;
        let (uid, gid) = self.ids(entry);
        if self.options.same_owner && (stat.st_uid, stat.st_gid) != (uid, gid) {
            fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(Failure::of("set the owner"))?;
        }
        let mut acl = false;
        let mut default_acl = None;
        for (key, value) in &entry.xattrs {
            if key == xattr::DEFAULT_ACL {
                default_acl = Some(value.clone());
            } else if xattr::belongs_to_layers(key) && xattr::set(fd, key, value)? {
                acl |= key == xattr::ACL;
            } else {
                self.applied.xattrs_left_out += 1;
            }
        }
        if acl || stat.st_mode & 0o7777 != entry.mode {
            fchmod(fd, Mode::from_raw_mode(entry.mode)).map_err(Failure::of("set the mode"))?;
        }
        let group = if self.options.same_owner { gid } else { stat.st_gid };
        self.chain.changed(group, entry.mode);
        self.chain.pend(Pending { times: times(entry), default_acl });
        Ok(())
    }

    fn symlink(&mut self, entry: &Entry, name: &[u8]) -> Result<(), Failure> {
        let target = entry.link.as_slice();
        self.replacing(name, |parent| symlinkat(target, parent, name), "make the symbolic link")?;
        self.applied.inodes += 1;
        self.applied.bytes += entry.link.len() as u64;
        let parent = self.chain.parent();
        if let Some((uid, gid)) = self.owner(entry, &parent) {
            chownat(parent.fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(Failure::of("set the owner"))?;
        }
        let left_out = attributes(parent.fd, entry, name)?.left_out;
        utimensat(parent.fd, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Failure::of("set the time"))?;
        self.applied.xattrs_left_out += left_out;
        Ok(())
    }

    fn device(&mut self, entry: &Entry, name: &[u8]) -> Result<(), Failure> {
        let kind = match entry.kind {
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let (major, minor) = if kind == FileType::Fifo { (0, 0) } else { entry.device };
        // The kernel's own numbers have 12 and 20 bits.
        if major >= 1 << 12 || minor >= 1 << 20 {
            return Err(Refusal::Device.into());
        }
        let mode = Mode::from_raw_mode(entry.mode & PERMISSIONS);
        let number = makedev(major, minor);
        self.replacing(name, |parent| mknodat(parent, name, kind, mode, number), "make the device")?;
        self.applied.inodes += 1;
        let parent = self.chain.parent();
        if let Some((uid, gid)) = self.owner(entry, &parent) {
            chownat(parent.fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(Failure::of("set the owner"))?;
        }
        let set = attributes(parent.fd, entry, name)?;
        if set.acl || entry.mode & PERMISSIONS & !self.umask != entry.mode {
            set_mode(parent.fd, name, entry.mode)?;
        }
        utimensat(parent.fd, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Failure::of("set the time"))?;
        self.applied.xattrs_left_out += set.left_out;
        Ok(())
    }

    /// Makes a hard link, to a symbolic link if that is what the target is, and gives the inode what
    /// this header says, as Docker and containerd do.
    fn hardlink(&mut self, entry: &Entry, name: &[u8]) -> Result<(), Failure> {
        let mut target = std::mem::take(&mut self.target);
        name::clean(&entry.link, &mut target);
        let result = self.hardlink_to(entry, name, &target);
        self.target = target;
        result
    }

    fn hardlink_to(&mut self, entry: &Entry, name: &[u8], target: &[u8]) -> Result<(), Failure> {
        let (directory, file) = name::split(target);
        if file.is_empty() {
            return Err(Refusal::LinkToNothing.into());
        }
        match self.chain.find(directory) {
            Err(Failure::System(_, Errno::NOENT)) => return Err(Refusal::LinkToNothing.into()),
            found => found?,
        }
        let stat = match statat(self.chain.found(directory), file, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Err(Refusal::LinkToNothing.into()),
            stat => stat.map_err(Failure::of("look at the target of the link"))?,
        };
        if self.overlay() && is_whiteout(&stat) {
            return Err(Refusal::LinkToNothing.into());
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(Refusal::LinkToDirectory.into());
        }
        let link = |chain: &Chain<'_>| {
            linkat(chain.found(directory), file, chain.parent().fd, name, AtFlags::empty())
        };
        match link(&self.chain) {
            Err(Errno::EXIST) => {
                // The old file goes first, even if it is the target.
                self.clear(name)?;
                self.chain.find(directory)?;
                link(&self.chain)
            }
            made => made,
        }
        .map_err(|errno| match errno {
            Errno::NOENT => Refusal::LinkToNothing.into(),
            errno => Failure::System("make the hard link", errno),
        })?;
        let parent = self.chain.parent();
        let (uid, gid) = self.ids(entry);
        let chowned = self.options.same_owner && (stat.st_uid, stat.st_gid) != (uid, gid);
        if chowned {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            chownat(parent.fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(Failure::of("set the owner"))?;
        }
        let set = attributes(parent.fd, entry, name)?;
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        if !is_link && (chowned || set.acl || stat.st_mode & 0o7777 != entry.mode) {
            set_mode(parent.fd, name, entry.mode)?;
        }
        utimensat(parent.fd, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Failure::of("set the time"))?;
        self.applied.xattrs_left_out += set.left_out;
        Ok(())
    }

    /// Does `make`; where the name is taken, deletes what has it and does it again.
    fn replacing<T>(
        &mut self,
        name: &[u8],
        make: impl Fn(BorrowedFd<'_>) -> Result<T, Errno>,
        operation: &'static str,
    ) -> Result<T, Failure> {
        match make(self.chain.parent().fd) {
            Err(Errno::EXIST) => {
                self.clear(name)?;
                make(self.chain.parent().fd).map_err(Failure::of(operation))
            }
            made => made.map_err(Failure::of(operation)),
        }
    }

    /// The owner to set on a new file in `parent`, if it is not what the kernel gives it.
    fn owner(&self, entry: &Entry, parent: &Parent<'_>) -> Option<(Option<Uid>, Option<Gid>)> {
        if !self.options.same_owner {
            return None;
        }
        let (uid, gid) = self.ids(entry);
        let given = (self.user, parent.group.unwrap_or(self.group));
        (given != (uid, gid)).then(|| (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))
    }
}

/// Which attributes could be set.
#[derive(Default)]
struct Attributes {
    /// The access list, which changes the mode.
    acl: bool,
    left_out: u64,
}

/// Sets the attributes of what is no file and no directory.
fn attributes(parent: BorrowedFd<'_>, entry: &Entry, name: &[u8]) -> Result<Attributes, Failure> {
    let mut set = Attributes::default();
    for (key, value) in &entry.xattrs {
        if xattr::belongs_to_layers(key) && xattr::set_at(parent, name, key, value)? {
            set.acl |= key == xattr::ACL;
        } else {
            set.left_out += 1;
        }
    }
    Ok(set)
}

/// Sets the mode of `name`, which is no symbolic link, and fails if it is one.
fn set_mode(parent: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<(), Failure> {
    let failed = Failure::of("set the mode");
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(parent, name, flags, Mode::empty()).map_err(&failed)?;
    // By the descriptor's link in /proc: devices and pipes cannot be opened for this, and older kernels
    // have no call that takes a name without following it.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty()).map_err(&failed)
}

/// The times of an entry. As Docker: nothing was read before it was written.
pub(super) fn times(entry: &Entry) -> Timestamps {
    let accessed = entry.accessed.unwrap_or(entry.modified).max(entry.modified);
    let timespec = |(seconds, nanoseconds): (i64, u32)| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::from(nanoseconds.min(999_999_999)),
    };
    Timestamps { last_access: timespec(accessed), last_modification: timespec(entry.modified) }
}
