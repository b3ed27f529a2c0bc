//! Applying a layer: the entries of a tar stream become files below a directory.
//!
//! Everything is done by descriptor. The root is a descriptor; parents are opened from it one part at a
//! time without following links (`chain`), and what an entry makes, it makes as one name in its parent
//! (`node`). So nothing outside of the root can be reached, whatever the names and links of a layer say.
//!
//! The result is Docker's (20.10, overlay2):
//!
//! * Names are cleaned by their letters; `..` ends at the root. The root's own entry changes nothing.
//! * A later entry replaces an earlier one. A directory over a directory keeps what is in it.
//! * A parent that is missing is made: root's, 0755. Its time is that of the first file in it.
//! * A parent that is a symbolic link is followed inside of the root. As a last part it never is.
//! * Hard links lead to what the same layer has, and give it their header's owner, mode and times.
//! * Attributes that the file system cannot hold are left out, as are those that steer overlay or label
//!   files for the host (`xattr`).
//!
//! Where Docker's overlay driver and its other drivers disagree, the layer means the same here as on
//! a plain tree: a directory that takes the place of a file or of a whiteout of the same layer is opaque,
//! since what is below was deleted.
//!
//! ```text
//! a/.wh.b          →  a/b: character device 0:0      a/.wh..wh..opq  →  a: trusted.overlay.opaque=y
//! .wh..wh.plnk/…   →  targets of hard links, deleted at the end       .wh..wh.…  →  nothing
//! ```
//!
//! After an error the tree is half made; the caller deletes it (`remove_tree`).

mod chain;
mod error;
pub(crate) mod name;
mod node;
mod remove;
mod touched;
mod whiteout;
mod xattr;

pub(crate) use chain::is_whiteout;
pub use error::{Error, Refusal};
pub(crate) use error::{kind_of, readable};
pub use remove::remove_tree;
pub(crate) use xattr::belongs_to_layers;

use std::{fs, io::Read, os::fd::BorrowedFd};

use rustix::process::{getegid, geteuid};

use crate::{
    diff::measure,
    entry::{Entry, Kind},
    limits::Limits,
    tar::Reader,
};
use chain::Chain;
use error::Failure;
use name::Marker;
use node::times;
use touched::Touched;

/// How a layer is applied.
#[derive(Clone, Copy)]
pub struct Options<'o> {
    pub whiteouts: Whiteouts,
    /// Whether files get the owner that the archive names; otherwise they are the process's.
    pub same_owner: bool,
    /// The owner that all files get, whatever the archive names.
    pub owner: Option<(u32, u32)>,
    /// A directory stays one, and what is none does not become one.
    pub keep_kinds: bool,
    /// Where the root is a directory of a larger tree that may be in use.
    pub within: Option<Within<'o>>,
    pub limits: Limits,
    /// Called after each entry with the bytes of the archive that are done.
    pub progress: Option<&'o dyn Fn(u64)>,
}

/// The tree that a directory is in, a container's: its symbolic links are followed with the tree's root as `/`, also
/// to other file systems that are mounted there; what is mounted is not replaced; and no name may lead out of the
/// directory by `..`.
#[derive(Clone, Copy, Debug)]
pub struct Within<'o> {
    pub root: BorrowedFd<'o>,
    /// Where the directory is in it: clean, without a slash at either end.
    pub at: &'o [u8],
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            whiteouts: Whiteouts::Overlay,
            same_owner: true,
            owner: None,
            keep_kinds: false,
            within: None,
            limits: Limits::default(),
            progress: None,
        }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("whiteouts", &self.whiteouts)
            .field("same_owner", &self.same_owner)
            .field("owner", &self.owner)
            .field("keep_kinds", &self.keep_kinds)
            .field("within", &self.within)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What names that begin with `.wh.` do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whiteouts {
    /// They become overlay's form, for a layer in a directory of its own.
    Overlay,
    /// They delete, for layers that are applied onto each other in one plain tree.
    Delete,
    /// Nothing: they are files like any other.
    Literal,
}

/// What was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Entries of the archive.
    pub entries: u64,
    /// Regular files that the layer has; each inode once.
    pub files: u64,
    /// As Docker counts: the lengths of files, holes included, and of the targets of links.
    pub bytes: u64,
    /// Inodes that the layer has but for its root; whiteouts too.
    pub inodes: u64,
    /// Markers for deletion.
    pub whiteouts: u64,
    /// Extended attributes that were not set: the file system cannot hold them, or no layer may set them.
    pub xattrs_left_out: u64,
    /// Bytes of the archive.
    pub tar_bytes: u64,
    /// The layer hides all layers below it. Overlay file systems do not look at this mark on a root.
    pub opaque_root: bool,
}

/// Applies the archive to the directory `root`.
pub fn apply(tar: impl Read, root: BorrowedFd<'_>, options: &Options<'_>) -> Result<Applied, Error> {
    let overlay = options.whiteouts == Whiteouts::Overlay;
    let mut applier = Applier {
        chain: Chain::new(root, overlay, options.within).map_err(Failure::of_root)?,
        tar: Reader::new(tar, &options.limits),
        options,
        applied: Applied::default(),
        touched: Touched::default(),
        target: Vec::new(),
        link_targets: false,
        replaced: false,
        user: geteuid().as_raw(),
        group: getegid().as_raw(),
        umask: umask(),
    };
    let mut path = Vec::new();
    while let Some(entry) = applier.tar.next().map_err(Error::Read)? {
        applier.applied.entries += 1;
        name::clean(&entry.path, &mut path);
        if options.within.is_some() && name::leaves(&entry.path) {
            return Err(Failure::from(Refusal::Outside).at(applier.applied.entries, &entry.path));
        }
        applier.entry(&entry, &path).map_err(|failure| failure.at(applier.applied.entries, &entry.path))?;
        if let Some(progress) = options.progress {
            progress(applier.tar.offset());
        }
    }
    applier.finish(root).map_err(Failure::of_root)?;
    Ok(applier.applied)
}

struct Applier<'r, 'o, R> {
    chain: Chain<'r>,
    tar: Reader<R>,
    options: &'o Options<'o>,
    applied: Applied,
    /// Only filled where whiteouts delete.
    touched: Touched,
    /// The cleaned target of a link, kept for its memory.
    target: Vec<u8>,
    /// AUFS's directory for the targets of hard links was made.
    link_targets: bool,
    /// A later entry replaced an earlier one, so what was made is not what is there.
    replaced: bool,
    user: u32,
    group: u32,
    umask: u32,
}

impl<R: Read> Applier<'_, '_, R> {
    fn overlay(&self) -> bool {
        self.options.whiteouts == Whiteouts::Overlay
    }

    /// Owner and group that the entry gets.
    fn ids(&self, entry: &Entry) -> (u32, u32) {
        match self.options.owner {
            Some(owner) => owner,
            None if self.options.same_owner => (entry.uid, entry.gid),
            None => (self.user, self.group),
        }
    }

    fn entry(&mut self, entry: &Entry, path: &[u8]) -> Result<(), Failure> {
        if path.is_empty() {
            // As Docker: what a layer says of the root itself is not taken over.
            return match entry.kind {
                Kind::Directory => Ok(()),
                _ => Err(error::Refusal::Root.into()),
            };
        }
        let (directory, mut name) = name::split(path);
        let literal = self.options.whiteouts == Whiteouts::Literal;
        let mut marker = if literal { Marker::File } else { name::marker(path)? };
        if marker == Marker::Bookkeeping {
            if !(entry.kind == Kind::File && name::is_link_target(path)) {
                return Ok(());
            }
            self.link_targets = true;
            marker = Marker::File;
        }
        if !literal && entry.kind == Kind::CharDevice && entry.device == (0, 0) {
            marker = Marker::Deleted(name);
        }
        let before = self.chain.made;
        self.chain.enter(directory, Some(&times(entry)))?;
        self.applied.inodes += self.chain.made - before;
        if let Marker::Deleted(deleted) = marker {
            name = deleted;
        }
        if self.options.whiteouts == Whiteouts::Delete {
            for (directory, name) in self.chain.ancestors() {
                self.touched.add(directory, name);
            }
        }
        match marker {
            Marker::Opaque => self.opaque(),
            Marker::Deleted(_) => self.whiteout(name),
            _ => {
                if self.options.whiteouts == Whiteouts::Delete {
                    self.touched.add(self.chain.parent().inode, name);
                }
                self.make(entry, name)
            }
        }
    }

    fn finish(&mut self, root: BorrowedFd<'_>) -> Result<(), Failure> {
        self.applied.tar_bytes = self.tar.offset();
        self.chain.finish()?;
        if self.link_targets {
            touched::remove(root, name::LINKS).map_err(Failure::of("delete the targets of hard links"))?;
        }
        if (self.replaced || self.link_targets) && self.overlay() {
            let failed = Failure::of("count what the layer has");
            let measured = measure(root).map_err(|error| failed(error.into_io()))?;
            self.applied.files = measured.files;
            self.applied.bytes = measured.bytes;
            self.applied.inodes = measured.inodes;
        }
        Ok(())
    }
}

/// What the process takes away from the mode of new files. Where that is not known, modes are always set.
fn umask() -> u32 {
    let known = || {
        let status = fs::read_to_string("/proc/thread-self/status").ok()?;
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
        u32::from_str_radix(umask.trim(), 8).ok()
    };
    known().unwrap_or(0o777)
}
