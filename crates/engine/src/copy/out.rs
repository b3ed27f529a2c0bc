//! Out of a container: what is at a path, and its archive.

use std::{
    ffi::CString,
    io::Write,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use longshore_archive::diff;
use longshore_types::Timestamp;
use rustix::{
    fs::{FileType, Mode, OFlags, Stat, fstat, openat},
    io::Errno,
};

use super::{
    Error, Result,
    error::readable,
    path::{absolute, base, follow, open},
};

/// What is at a path of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStat {
    /// The last part of the path.
    pub name: String,
    pub size: u64,
    /// As Go writes it: permissions below, and the kind in the bits from 31 down.
    pub mode: u32,
    pub modified: Timestamp,
    /// Where a symbolic link leads in the container, through all links; empty for what is none.
    pub link_target: String,
}

/// What is at a path, opened: nothing that happens to the path changes what it is.
#[derive(Debug)]
pub struct Source {
    pub stat: PathStat,
    /// The directory that `base` is in.
    parent: OwnedFd,
    /// A name in it, or `.` for itself.
    base: CString,
    /// What it is called in the archive.
    name: Vec<u8>,
}

impl Source {
    /// Opens what is at `path` below `root`. `container` is what the caller called the container, for messages.
    pub fn open(root: BorrowedFd<'_>, path: &str, container: &str) -> Result<Self> {
        let whole = absolute(path.as_bytes());
        let fail = |operation| move |errno| Error::at(operation, path.as_bytes(), container, errno);
        let is_directory = whole.ends_with(b"/") || whole.ends_with(b"/.");
        let (directory, mut last) = match whole.iter().rposition(|byte| *byte == b'/') {
            Some(slash) if !is_directory => (&whole[..=slash], &whole[slash + 1..]),
            _ => (whole.as_slice(), b".".as_slice()),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let mut parent = open(root, directory, flags).map_err(fail("open"))?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let thing = openat(&parent, last, flags, Mode::empty()).map_err(fail("open"))?;
        let stat = fstat(&thing).map_err(fail("look at"))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory && last != b"." {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            parent = openat(&thing, c".", flags, Mode::empty()).map_err(fail("open"))?;
            last = b".";
        }
        let link_target = match kind {
            FileType::Symlink => follow(root, &whole).map_err(fail("follow"))?,
            _ => Vec::new(),
        };
        let name = base(&whole);
        let base = CString::new(last).map_err(|_| fail("open")(Errno::INVAL))?;
        let stat = shown(name, &stat, &link_target);
        // Below the root, names begin with a slash.
        let name = if name == b"/" { Vec::new() } else { name.to_vec() };
        Ok(Self { stat, parent, base, name })
    }

    /// Writes it as a tar archive, a directory with all that is in it. Blocks.
    pub fn write(&self, out: impl Write) -> Result<()> {
        diff::write_copy(self.parent.as_fd(), &self.base, &self.name, out)?;
        Ok(())
    }
}

fn shown(name: &[u8], stat: &Stat, link_target: &[u8]) -> PathStat {
    PathStat {
        name: readable(name),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mode: go_mode(stat.st_mode),
        modified: Timestamp(
            stat.st_mtime.saturating_mul(1_000_000_000).saturating_add_unsigned(stat.st_mtime_nsec),
        ),
        link_target: readable(link_target),
    }
}

/// The kernel's mode in Go's bits.
fn go_mode(mode: u32) -> u32 {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 1 << 31,
        FileType::Symlink => 1 << 27,
        FileType::BlockDevice => 1 << 26,
        FileType::CharacterDevice => 1 << 26 | 1 << 21,
        FileType::Fifo => 1 << 25,
        FileType::Socket => 1 << 24,
        FileType::RegularFile | FileType::Unknown => 0,
    };
    let special = [(0o4000, 23), (0o2000, 22), (0o1000, 20)];
    let special = special.into_iter().filter(|(bit, _)| mode & bit != 0).map(|(_, go)| 1 << go);
    (mode & 0o777) | kind | special.sum::<u32>()
}

#[cfg(test)]
mod tests {
    use super::go_mode;

    #[test]
    fn modes_of_go() {
        for (mode, expected) in [
            (0o040_755, 0x8000_01ed),
            (0o100_644, 0o644),
            (0o104_755, 0x0080_01ed),
            (0o041_777, 0x8010_01ff),
            (0o120_777, 0x0800_01ff),
            (0o020_666, 0x0420_01b6),
        ] {
            assert_eq!(go_mode(mode), expected, "{mode:o}");
        }
    }
}
