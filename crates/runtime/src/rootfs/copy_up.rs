//! `tmpcopyup`: a new tmpfs starts with what the directory below it holds.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid, chownat, mkdirat, mknodat, openat,
        readlinkat, statat, symlinkat, utimensat,
    },
    io::Errno,
    time::Timespec,
};

use super::tree::Tree;

/// Deeper than any real directory; a loop of bind mounts ends here.
const MAX_DEPTH: usize = 128;

/// Copies the content of `path` (nothing where it does not exist) into the detached mount `into`.
pub(super) fn fill(tree: &Tree, path: &str, into: BorrowedFd<'_>) -> io::Result<()> {
    let from = match tree.open(path, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(from) => from,
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error),
    };
    let status = rustix::fs::fstat(&from)?;
    // What `fsmount` gave only names the mount.
    let into = openat(into, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let into = into.as_fd();
    rustix::fs::fchmod(into, Mode::from_raw_mode(status.st_mode))?;
    rustix::fs::fchown(into, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))?;
    directory(from.as_fd(), into, 0)
}

fn directory(from: BorrowedFd<'_>, into: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(Errno::LOOP.into());
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let status = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mode = Mode::from_raw_mode(status.st_mode);
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                mkdirat(into, name, mode)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = openat(from, name, flags, Mode::empty())?;
                let made = openat(into, name, flags, Mode::empty())?;
                directory(below.as_fd(), made.as_fd(), depth + 1)?;
                rustix::fs::fchmod(&made, mode)?;
            }
            FileType::Symlink => {
                let link = readlinkat(from, name, Vec::new())?;
                symlinkat(link.as_c_str(), into, name)?;
            }
            FileType::RegularFile => file(from, into, name, mode)?,
            FileType::Socket => continue,
            kind => mknodat(into, name, kind, mode, status.st_rdev)?,
        }
        keep_owner_and_times(into, name, &status)?;
    }
    Ok(())
}

fn file(from: BorrowedFd<'_>, into: BorrowedFd<'_>, name: &std::ffi::CStr, mode: Mode) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut source = std::fs::File::from(openat(from, name, flags, Mode::empty())?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let copy = openat(into, name, flags, mode)?;
    // The owner comes before the mode: chown drops the setuid bit.
    let status = rustix::fs::fstat(&source)?;
    rustix::fs::fchown(&copy, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))?;
    rustix::fs::fchmod(&copy, mode)?;
    io::copy(&mut source, &mut std::fs::File::from(copy))?;
    Ok(())
}

fn keep_owner_and_times(into: BorrowedFd<'_>, name: &std::ffi::CStr, status: &Stat) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        chownat(into, name, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)), flags)?;
    }
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    let times = Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    };
    Ok(utimensat(into, name, &times, flags)?)
}
