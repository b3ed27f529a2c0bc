//! Copying what an image has into a volume: by descriptor, with owners, modes, times, attributes and hard links.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};

/// Files with several names that have been copied: where each is, below the top.
type Links = HashMap<(u64, u64), String>;

/// Copies a directory into another one that is empty, and gives it the same owner and mode. Does nothing when the
/// other is not empty.
pub(super) fn into_empty(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    if !names(to)?.is_empty() {
        return Ok(());
    }
    let top = to.try_clone()?;
    let mut way = Vec::new();
    directory(from, to, &top, &mut way, &mut Links::new())?;
    attributes(from, to, &rustix::fs::fstat(from)?)
}

fn names(directory: &OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn directory(
    from: &OwnedFd,
    to: &OwnedFd,
    top: &OwnedFd,
    way: &mut Vec<String>,
    links: &mut Links,
) -> io::Result<()> {
    for name in names(from)? {
        let status = rustix::fs::statat(from, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        let key = (status.st_dev, status.st_ino);
        let path = |way: &[String]| {
            let mut path = way.join("/");
            if !path.is_empty() {
                path.push('/');
            }
            path + &name.to_string_lossy()
        };
        if kind != FileType::Directory && status.st_nlink > 1 && name.to_str().is_ok() {
            if let Some(known) = links.get(&key) {
                rustix::fs::linkat(top, known, to, &name, AtFlags::empty())?;
                continue;
            }
            links.insert(key, path(way));
        }
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(to, &name, Mode::RWXU)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = rustix::fs::openat(from, &name, flags, Mode::empty())?;
                let made = rustix::fs::openat(to, &name, flags, Mode::empty())?;
                way.push(name.to_string_lossy().into_owned());
                directory(&below, &made, top, way, links)?;
                way.pop();
                attributes(&below, &made, &status)?;
            }
            FileType::RegularFile => {
                let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let source = rustix::fs::openat(from, &name, read, Mode::empty())?;
                let write =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = rustix::fs::openat(to, &name, write, Mode::RUSR | Mode::WUSR)?;
                let (mut source, mut made) = (std::fs::File::from(source), std::fs::File::from(made));
                io::copy(&mut source, &mut made)?;
                attributes(&source.into(), &made.into(), &status)?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, &name, Vec::new())?;
                rustix::fs::symlinkat(&target, to, &name)?;
                own(to, &name, &status)?;
                rustix::fs::utimensat(to, &name, &times(&status), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            FileType::Socket | FileType::Unknown => {}
            kind => {
                rustix::fs::mknodat(to, &name, kind, Mode::from_raw_mode(status.st_mode), status.st_rdev)?;
                own(to, &name, &status)?;
                rustix::fs::chmodat(to, &name, Mode::from_raw_mode(status.st_mode), AtFlags::empty())?;
            }
        }
    }
    Ok(())
}

fn own(directory: &OwnedFd, name: &std::ffi::CStr, status: &Stat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    Ok(rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Owner, mode, extended attributes and times of an open file.
fn attributes(from: &OwnedFd, to: &OwnedFd, status: &Stat) -> io::Result<()> {
    rustix::fs::fchown(to, Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(status.st_mode))?;
    let mut list = vec![0_u8; 64 << 10];
    let length = match rustix::fs::flistxattr(from, &mut list[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(errno) => return Err(errno.into()),
    };
    for name in list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // Those of the overlay are not the image's.
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        let name = std::ffi::CString::new(name)?;
        let mut value = vec![0_u8; 64 << 10];
        let length = rustix::fs::fgetxattr(from, &name, &mut value[..])?;
        match rustix::fs::fsetxattr(to, &name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(rustix::fs::futimens(to.as_fd(), &times(status))?)
}

fn times(status: &Stat) -> Timestamps {
    let time =
        |seconds: i64, nanos: u64| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanos).unwrap_or(0) };
    Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    }
}
