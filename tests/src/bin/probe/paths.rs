//! What can be read, written and opened.

use super::look;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use testkit::errno;
use testkit::report::Access;

/// Opens for reading without waiting for a peer and without taking a terminal.
pub(crate) fn open_quietly(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn open_for_writing(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// How each path behaves.
pub(crate) fn access_each(paths: &[&str]) -> BTreeMap<String, Access> {
    paths.iter().map(|path| ((*path).to_owned(), access(Path::new(path)))).collect()
}

fn access(path: &Path) -> Access {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let name = errno::name(&error);
            return Access { kind: name.clone(), read: name.clone(), write: name };
        }
    };
    if metadata.is_dir() {
        let inside = path.join("probe-was-here");
        let created = fs::create_dir(&inside);
        if created.is_ok() {
            // The name is ours: nothing else is removed.
            drop(fs::remove_dir(&inside));
        }
        let entries = fs::read_dir(path).map(|entries| entries.count().to_string());
        let read = entries.unwrap_or_else(|error| errno::name(&error));
        return Access { kind: "dir".to_owned(), read, write: errno::word(created) };
    }
    let mut bytes = Vec::new();
    // A device or a growing file is not read to its end.
    let read = open_quietly(path).and_then(|fd| fs::File::from(fd).take(4096).read_to_end(&mut bytes));
    Access {
        kind: look::kind(&metadata).to_owned(),
        read: read.map_or_else(|error| errno::name(&error), |count| count.to_string()),
        write: errno::word(open_for_writing(path)),
    }
}

/// Files under the directories that open for writing. Nothing is written.
pub(crate) fn writable_under(dirs: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for dir in dirs {
        walk(Path::new(dir), &mut found);
    }
    found.sort();
    found
}

fn walk(path: &Path, found: &mut Vec<String>) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    if metadata.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            walk(&entry.path(), found);
        }
    } else if metadata.is_file() && open_for_writing(path).is_ok() {
        found.push(path.display().to_string());
    }
}

/// Character and block devices of numbers 0 to 255 that the device rules let through, as
/// `c 1:3`: made in `/dev`, opened, removed. One that has no driver passes the rules, too.
pub(crate) fn usable_devices() -> Vec<String> {
    let mut found = Vec::new();
    let path = Path::new("/dev/probe-node");
    for (letter, kind) in [("c", FileType::CharacterDevice), ("b", FileType::BlockDevice)] {
        for (major, minor) in (0..256_u32).flat_map(|major| (0..256_u32).map(move |minor| (major, minor))) {
            // Opening the watchdog starts it.
            if (letter, major, minor) == ("c", 10, 130) {
                continue;
            }
            let mode = Mode::from_raw_mode(0o600);
            if let Err(error) = rustix::fs::mknodat(CWD, path, kind, mode, rustix::fs::makedev(major, minor))
            {
                found.push(format!("mknod {letter} {major}:{minor} {}", errno::name(&error.into())));
                return found;
            }
            let opened = errno::word(open_quietly(path));
            if opened != "EPERM" {
                found.push(format!("{letter} {major}:{minor}"));
            }
            if fs::remove_file(path).is_err() {
                return found;
            }
        }
    }
    found
}

/// The old way out of a chroot: keep a directory outside, enter another root, walk up. Says what
/// is seen at the top: the entries of `/` there.
pub(crate) fn chroot_escape() -> Vec<String> {
    let escape = || -> io::Result<Vec<String>> {
        fs::create_dir_all("/tmp/cage")?;
        let outside = fs::File::open("/")?;
        rustix::process::chroot("/tmp/cage")?;
        rustix::process::fchdir(&outside)?;
        for _ in 0..64 {
            rustix::process::chdir("..")?;
        }
        rustix::process::chroot(".")?;
        let mut names: Vec<String> = fs::read_dir("/")?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    };
    escape().unwrap_or_else(|error| vec![errno::name(&error)])
}
