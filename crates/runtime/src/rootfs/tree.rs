//! Paths of a container, resolved by descriptor and never twice.
//!
//! Whoever shares a volume with the container may exchange directories for symlinks while it starts.
//! So a path is walked once, inside the root, and what is done with it is done through the resulting
//! descriptor (CVE-2019-19921, CVE-2021-30465, CVE-2024-45310, CVE-2025-31133, CVE-2025-52565).

use std::{
    collections::VecDeque,
    ffi::CString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use longshore_sys::resolve::{self, how};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

/// As many symlinks as the kernel follows.
const MAX_LINKS: usize = 40;

/// The root of a container's file system.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
}

/// What a mount target has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Directory,
    File,
}

impl Tree {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Takes what was mounted onto the root as the new root.
    pub(super) fn replace_root(&mut self, root: OwnedFd) {
        self.root = root;
    }

    /// Opens what exists at the absolute `path`.
    pub(super) fn open(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let strict = no_symlinks(path);
        let relative = match path.trim_start_matches('/') {
            "" => CString::from(c"."),
            path => CString::new(path)?,
        };
        let inside = how::IN_ROOT | how::NO_MAGICLINKS | strict;
        let opened = resolve::open(self.root.as_fd(), &relative, flags.bits().cast_signed(), inside);
        opened.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::LOOP) if strict != 0 => symlink_refused(),
            _ => error,
        })
    }

    /// Opens `path` as a place to mount on (`O_PATH`), making it and its parents where absent.
    pub(super) fn target(&self, path: &str, target: Target) -> io::Result<OwnedFd> {
        let mut flags = OFlags::PATH;
        if target == Target::Directory {
            flags |= OFlags::DIRECTORY;
        }
        match self.open(path, flags) {
            Ok(found) if target == Target::File && is_directory(&found)? => Err(Errno::ISDIR.into()),
            Ok(found) => Ok(found),
            Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {
                self.make(path, target)
            }
            Err(error) => Err(error),
        }
    }

    /// The directory that holds `path` (made where absent), and the last part of `path`.
    pub(super) fn parent<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() {
            return Err(Errno::EXIST.into());
        }
        Ok((self.target(if parent.is_empty() { "/" } else { parent }, Target::Directory)?, name))
    }

    /// Walks by hand, one component at a time, and makes what is missing. A stack of descriptors
    /// stands for the way from the root, so that `..` cannot leave it.
    fn make(&self, path: &str, target: Target) -> io::Result<OwnedFd> {
        let strict = no_symlinks(path) != 0;
        let mut rest: VecDeque<String> = parts(path).collect();
        let mut way = vec![self.root.try_clone()?];
        let mut links = 0;
        let mut tries = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let here = way.last().ok_or(Errno::NOENT)?;
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(here, &part, flags, Mode::empty()) {
                Ok(found) => match file_type(&found)? {
                    FileType::Symlink => {
                        links += 1;
                        if strict {
                            return Err(symlink_refused());
                        }
                        if links > MAX_LINKS {
                            return Err(Errno::LOOP.into());
                        }
                        let link = rustix::fs::readlinkat(&found, c"", Vec::new())?;
                        let link = link.into_string().map_err(|_| Errno::ILSEQ)?;
                        if link.starts_with('/') {
                            way.truncate(1);
                        }
                        for part in parts(&link).collect::<Vec<_>>().into_iter().rev() {
                            rest.push_front(part);
                        }
                    }
                    FileType::Directory => way.push(found),
                    _ if rest.is_empty() && target == Target::File => way.push(found),
                    _ => return Err(Errno::NOTDIR.into()),
                },
                Err(Errno::NOENT) => {
                    make_one(here.as_fd(), &part, if rest.is_empty() { target } else { Target::Directory })?;
                    // Open what stands there now, whoever made it. An adversary who removes it each
                    // time gets an error and not a loop.
                    tries += 1;
                    if tries > 4096 {
                        return Err(Errno::AGAIN.into());
                    }
                    rest.push_front(part);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let found = way.pop().ok_or(Errno::NOENT)?;
        match (target, is_directory(&found)?) {
            (Target::Directory, true) | (Target::File, false) => Ok(found),
            (Target::Directory, false) => Err(Errno::NOTDIR.into()),
            (Target::File, true) => Err(Errno::ISDIR.into()),
        }
    }
}

fn symlink_refused() -> io::Error {
    io::Error::other("it must be mounted on ordinary directory or file, not through a symbolic link")
}

fn make_one(here: BorrowedFd<'_>, name: &str, target: Target) -> io::Result<()> {
    let made = match target {
        Target::Directory => rustix::fs::mkdirat(here, name, Mode::from_raw_mode(0o755)),
        Target::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(here, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        }
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Below these directories everything is the kernel's or ours: a symlink there is an attack or a
/// mistake (CVE-2023-27561, CVE-2023-28642, CVE-2026-41579).
fn no_symlinks(path: &str) -> u64 {
    let within =
        |top: &str| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if within("/proc") || within("/sys") || within("/dev") { how::NO_SYMLINKS } else { 0 }
}

fn parts(path: &str) -> impl Iterator<Item = String> + '_ {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned)
}

pub(super) fn file_type(fd: impl AsFd) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::statat(fd, c"", AtFlags::EMPTY_PATH)?.st_mode))
}

pub(super) fn is_directory(fd: impl AsFd) -> io::Result<bool> {
    Ok(file_type(fd)? == FileType::Directory)
}

#[cfg(test)]
mod tests;
