//! From a directory to an archive: the reverse of `apply`.
//!
//! * [`write_layer`]: overlay's upper directory as a layer, with whiteouts in the form of archives
//! * [`write_tree`]: a plain tree, as `docker export` has it
//! * [`write_copy`]: one file of a tree, or one directory with all that is in it, as `docker cp` has it
//! * [`changes`]: what `docker diff` lists
//! * [`measure`]: what `docker ps --size` and the size of a layer count
//!
//! The archive depends on the tree alone: names sorted by their bytes, each directory before its content,
//! the first name of an inode is the file and the others are hard links to it, attributes sorted, times to
//! the nanosecond. A copy of the tree elsewhere gives the same bytes. (Docker and containerd cut times off
//! to seconds. Then a layer that was made here would not be the layer that others get.)
//!
//! Sockets are left out, as every archiver does. A file that becomes shorter while it is read is filled up
//! with zeros; one that grows is cut off.

mod changes;
mod error;
mod measure;
mod walk;

pub use changes::{Change, ChangeKind, changes};
pub use error::Error;
pub use measure::{Measured, measure};

use std::{
    collections::HashMap,
    ffi::CStr,
    io::{self, Read, Write},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use rustix::{
    buffer::spare_capacity,
    fs::{
        CWD, FileType, Mode, OFlags, getxattr, lgetxattr, listxattr, llistxattr, major, minor, openat,
        readlinkat,
    },
    io::Errno,
};

use crate::{
    apply::{belongs_to_layers, is_whiteout},
    entry::{Entry, Kind},
    tar::Writer,
};
use walk::{Found, Walk};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What overlay sets, in its own name and in a user's.
const OVERLAY: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Entries of the archive, markers included.
    pub entries: u64,
    /// Inodes but those of whiteouts.
    pub inodes: u64,
    /// As Docker counts: the lengths of files and of the targets of links; of hard links once.
    pub bytes: u64,
    /// Bytes of the archive.
    pub tar_bytes: u64,
}

/// Writes overlay's upper directory as a layer.
pub fn write_layer(upper: BorrowedFd<'_>, out: impl Write) -> Result<Written, Error> {
    write(upper, out, true)
}

/// Writes a plain tree; names and devices mean nothing but themselves.
pub fn write_tree(root: BorrowedFd<'_>, out: impl Write) -> Result<Written, Error> {
    write(root, out, false)
}

/// Writes what is `base` in the directory `parent` under the name `name`; a directory with all that is in it. Symbolic
/// links are not followed; other file systems that are mounted in it are gone into.
pub fn write_copy(
    parent: BorrowedFd<'_>,
    base: &CStr,
    name: &[u8],
    out: impl Write,
) -> Result<Written, Error> {
    let mut archive = Archive::new(out, false);
    archive.prefix = Some(name.to_vec());
    let found = walk::look_at(parent, base)?;
    archive.add(parent, &found)?;
    if found.kind == FileType::Directory {
        let root = walk::open_dir(found.fd.as_fd(), c".").map_err(Error::read("open", name))?;
        archive.all(root.as_fd())?;
    }
    archive.finish()
}

fn write(root: BorrowedFd<'_>, out: impl Write, layer: bool) -> Result<Written, Error> {
    let mut archive = Archive::new(out, layer);
    if layer && attributes_of(root, root, c".", b"/", true)?.opaque == Some(b'y') {
        archive.opaque(b"")?;
    }
    archive.all(root)?;
    archive.finish()
}

struct Archive<W: Write> {
    writer: Writer<W>,
    layer: bool,
    /// What names begin with, in the place of the root.
    prefix: Option<Vec<u8>>,
    /// The first name of each inode that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// By depth: whether overlay marked this directory as one with whiteouts that are no devices.
    marked: Vec<bool>,
    written: Written,
}

impl<W: Write> Archive<W> {
    fn new(out: W, layer: bool) -> Self {
        Archive {
            writer: Writer::new(out),
            layer,
            prefix: None,
            links: HashMap::new(),
            marked: Vec::new(),
            written: Written::default(),
        }
    }

    fn all(&mut self, root: BorrowedFd<'_>) -> Result<(), Error> {
        let mut walk = Walk::new(root);
        while let Some(found) = walk.next()? {
            let parent = walk.parent(&found);
            self.add(parent, &found)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Written, Error> {
        self.written.tar_bytes = self.writer.written() + 1024;
        self.writer.finish().map_err(Error::Write)?;
        Ok(self.written)
    }

    fn add(&mut self, parent: BorrowedFd<'_>, found: &Found) -> Result<(), Error> {
        let name = found.name.to_bytes();
        if self.layer && is_whiteout(&found.stat) {
            return self.whiteout(found);
        }
        if self.layer && name.starts_with(WHITEOUT) {
            return Err(Error::Reserved { path: crate::apply::readable(&found.path) });
        }
        let Some(mut entry) = entry(found)? else { return Ok(()) };
        if let Some(prefix) = &self.prefix {
            entry.path = prefixed(prefix, &found.path, found.kind == FileType::Directory);
        }
        let attributes = attributes_of(found.fd.as_fd(), parent, &found.name, &found.path, self.layer)?;
        let marked = found.depth > 0 && self.marked.get(found.depth - 1).copied().unwrap_or_default();
        if self.layer
            && marked
            && attributes.whiteout
            && found.kind == FileType::RegularFile
            && entry.size == 0
        {
            return self.whiteout(found);
        }
        entry.xattrs = attributes.kept;
        if found.kind == FileType::Directory {
            self.marked.truncate(found.depth);
            self.marked.push(attributes.opaque == Some(b'x'));
        } else if found.stat.st_nlink > 1 {
            let inode = (found.stat.st_dev, found.stat.st_ino);
            if let Some(first) = self.links.get(&inode) {
                entry.kind = Kind::Hardlink;
                entry.link.clone_from(first);
                entry.size = 0;
                entry.device = (0, 0);
                return self.put(&entry, io::empty());
            }
            self.links.insert(inode, entry.path.clone());
        }
        self.written.inodes += 1;
        self.written.bytes += entry.size + entry.link.len() as u64;
        if entry.kind != Kind::File || entry.size == 0 {
            self.put(&entry, io::empty())?;
        } else {
            let path = format!("/proc/self/fd/{}", found.fd.as_raw_fd());
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let file =
                openat(CWD, path, flags, Mode::empty()).map_err(Error::read("open the file", &found.path))?;
            self.put(&entry, std::fs::File::from(file).chain(io::repeat(0)))?;
        }
        if attributes.opaque == Some(b'y') && found.kind == FileType::Directory && self.layer {
            self.opaque(&found.path)?;
        }
        Ok(())
    }

    /// The marker for a deleted name. What it says of itself is always the same: the kernel shares one
    /// inode between many of them.
    fn whiteout(&mut self, found: &Found) -> Result<(), Error> {
        let mut path = found.path.clone();
        path.truncate(path.len() - found.name.to_bytes().len());
        path.extend_from_slice(WHITEOUT);
        path.extend_from_slice(found.name.to_bytes());
        self.marker(path)
    }

    fn opaque(&mut self, directory: &[u8]) -> Result<(), Error> {
        let mut path = directory.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(OPAQUE);
        self.marker(path)
    }

    fn marker(&mut self, path: Vec<u8>) -> Result<(), Error> {
        self.put(&Entry { path, mode: 0o600, ..Entry::default() }, io::empty())
    }

    fn put(&mut self, entry: &Entry, content: impl Read) -> Result<(), Error> {
        self.written.entries += 1;
        self.writer.entry(entry, content).map_err(Error::Write)
    }
}

/// The name of what is at `path`, empty for what the name stands for.
fn prefixed(prefix: &[u8], path: &[u8], directory: bool) -> Vec<u8> {
    let mut name = prefix.to_vec();
    if !path.is_empty() {
        name.push(b'/');
        name.extend_from_slice(path);
    }
    if directory {
        name.push(b'/');
    }
    name
}

/// The entry of a file, without attributes; none for sockets.
fn entry(found: &Found) -> Result<Option<Entry>, Error> {
    let stat = &found.stat;
    let mut entry = Entry {
        path: found.path.clone(),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        modified: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or_default()),
        ..Entry::default()
    };
    entry.kind = match found.kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket | FileType::Unknown => return Ok(None),
    };
    match entry.kind {
        Kind::File => entry.size = u64::try_from(stat.st_size).unwrap_or_default(),
        Kind::Directory => entry.path.push(b'/'),
        Kind::Symlink => {
            let target =
                readlinkat(&found.fd, c"", Vec::new()).map_err(Error::read("read the link", &found.path))?;
            entry.link = target.into_bytes();
        }
        Kind::CharDevice | Kind::BlockDevice => entry.device = (major(stat.st_rdev), minor(stat.st_rdev)),
        Kind::Fifo | Kind::Hardlink => {}
    }
    Ok(Some(entry))
}

/// What the attributes of a file say.
#[derive(Debug, Default)]
struct Attributes {
    /// Sorted by name.
    kept: Vec<(Vec<u8>, Vec<u8>)>,
    /// Overlay's mark on a directory: `y` hides what is below, `x` tells of whiteouts by attribute.
    opaque: Option<u8>,
    whiteout: bool,
}

/// Reads the attributes of the open file, which is called `name` in `parent`.
fn attributes_of(
    file: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    name: &CStr,
    path: &[u8],
    layer: bool,
) -> Result<Attributes, Error> {
    // A descriptor's link in /proc leads to the file itself, unless that is a link: then the name does.
    let by_fd = format!("/proc/self/fd/{}", file.as_raw_fd()).into_bytes();
    let by_name = [format!("/proc/self/fd/{}/", parent.as_raw_fd()).as_bytes(), name.to_bytes()].concat();
    let mut found = Attributes::default();
    let mut names = Vec::new();
    loop {
        names.clear();
        names.reserve(names.capacity().max(512) * 2);
        match listxattr(by_fd.as_slice(), spare_capacity(&mut names)) {
            Err(Errno::LOOP) => match llistxattr(by_name.as_slice(), spare_capacity(&mut names)) {
                Err(Errno::RANGE) => continue,
                other => drop(other.map_err(Error::read("list the attributes of", path))?),
            },
            Err(Errno::RANGE) => continue,
            Err(Errno::OPNOTSUPP | Errno::NOENT) => return Ok(found),
            other => drop(other.map_err(Error::read("list the attributes of", path))?),
        }
        break;
    }
    for attribute in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let overlay = OVERLAY.iter().find_map(|prefix| attribute.strip_prefix(*prefix));
        if overlay.is_none() && !belongs_to_layers(attribute) {
            continue;
        }
        let Some(mut value) = value_of(&by_fd, &by_name, attribute, path)? else { continue };
        match overlay {
            Some(b"opaque") => found.opaque = value.first().copied(),
            Some(b"whiteout") => found.whiteout = true,
            Some(b"redirect" | b"metacopy") if layer => {
                let attribute = String::from_utf8_lossy(attribute).into_owned();
                return Err(Error::Incomplete { path: crate::apply::readable(path), attribute });
            }
            Some(_) => {}
            None => {
                plain_capability(attribute, &mut value);
                found.kept.push((attribute.to_vec(), value));
            }
        }
    }
    found.kept.sort_unstable();
    Ok(found)
}

fn value_of(by_fd: &[u8], by_name: &[u8], attribute: &[u8], path: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let mut value = Vec::new();
    loop {
        value.clear();
        value.reserve(value.capacity().max(512) * 2);
        let got = match getxattr(by_fd, attribute, spare_capacity(&mut value)) {
            Err(Errno::LOOP) => lgetxattr(by_name, attribute, spare_capacity(&mut value)),
            got => got,
        };
        match got {
            Ok(_) => return Ok(Some(value)),
            Err(Errno::RANGE) => {}
            // Gone meanwhile.
            Err(Errno::NODATA | Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Error::read("read an attribute of", path)(errno)),
        }
    }
}

/// As Docker: capabilities that were set in a user namespace (version 3) lose its root's id, which means
/// nothing elsewhere.
fn plain_capability(attribute: &[u8], value: &mut Vec<u8>) {
    if attribute == b"security.capability" && value.len() == 24 && value[3] == 3 {
        value[3] = 2;
        value.truncate(20);
    }
}
