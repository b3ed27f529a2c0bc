//! Into a container: an archive becomes files below a directory of it.

use std::{
    io::{BufReader, Cursor, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use longshore_archive::{
    apply::{self, Refusal, Whiteouts, Within, apply},
    compress::{Decoder, MAGIC_BYTES, detect},
    limits::Limits,
};
use rustix::{
    fs::{AtFlags, OFlags, StatVfsMountFlags, StatxFlags, fstatvfs, statx},
    io::Errno,
};

use super::{
    Error, Result,
    error::readable,
    owner,
    path::{absolute, cleaned, open},
};

/// Bytes of the input that are read at once.
const READ: usize = 256 << 10;

/// How an archive is unpacked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpack<'u> {
    /// A directory stays one, and what is none does not become one.
    pub keep_kinds: bool,
    /// Everything belongs to this user and group, as in a container's configuration; otherwise to whom the archive
    /// says.
    pub owner: Option<&'u str>,
    /// The root is not to be written to, whatever the mount says.
    pub root_read_only: bool,
}

/// A directory of a container, opened: nothing that happens to its path changes what it is.
#[derive(Debug)]
pub struct Target {
    directory: OwnedFd,
    /// In the root, without a slash at either end.
    at: Vec<u8>,
    path: String,
}

impl Target {
    /// Opens the directory at `path` below `root`; links are followed, the last one too. `container` is what the
    /// caller called the container, for messages.
    pub fn open(root: BorrowedFd<'_>, path: &str, container: &str) -> Result<Self> {
        let whole = absolute(path.as_bytes());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = open(root, &whole, flags).map_err(|errno| match errno {
            Errno::NOTDIR => Error::NoDirectory,
            errno => Error::at("open", path.as_bytes(), container, errno),
        })?;
        let at = cleaned(path.as_bytes()).get(1..).unwrap_or_default().to_vec();
        Ok(Self { directory, at, path: readable(&whole) })
    }

    /// Unpacks an archive in it, compressed or not. Blocks.
    ///
    /// What was unpacked before an error stays. Programs and libraries of the container are not used for anything.
    pub fn unpack(&self, root: BorrowedFd<'_>, unpack: &Unpack<'_>, archive: impl Read) -> Result<()> {
        self.check_writable(root, unpack.root_read_only)?;
        longshore_runtime::failpoint::step("copy.into.unpack").map_err(Error::Input)?;
        let owner = unpack.owner.filter(|user| !user.is_empty());
        let owner = owner.map(|user| owner::find(root, user)).transpose()?;
        let limits = Limits::default();
        let options = apply::Options {
            whiteouts: Whiteouts::Literal,
            owner,
            keep_kinds: unpack.keep_kinds,
            within: Some(Within { root, at: &self.at }),
            limits,
            ..apply::Options::default()
        };
        let tar = plain(archive, &limits).map_err(Error::Input)?;
        apply(tar, self.directory.as_fd(), &options).map(drop).map_err(|error| self.explain(error))
    }

    fn check_writable(&self, root: BorrowedFd<'_>, root_read_only: bool) -> Result<()> {
        let fail =
            |errno: Errno| Error::Io { operation: "look at", path: self.path.clone(), source: errno.into() };
        let mount = |fd: BorrowedFd<'_>| {
            statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|found| found.stx_mnt_id)
        };
        let is_root = mount(root).map_err(fail)? == mount(self.directory.as_fd()).map_err(fail)?;
        let flags = fstatvfs(&self.directory).map_err(fail)?.f_flag;
        let read_only = flags.contains(StatVfsMountFlags::RDONLY);
        match (read_only || (is_root && root_read_only), is_root) {
            (false, _) => Ok(()),
            (true, true) => Err(Error::RootReadOnly),
            (true, false) => Err(Error::VolumeReadOnly),
        }
    }

    /// Docker's words for what a caller asked not to have done.
    fn explain(&self, error: apply::Error) -> Error {
        let target = self.path.clone();
        match error {
            apply::Error::Refused { refusal: Refusal::OverDirectory, path, .. } => {
                Error::OverDirectory { path, target }
            }
            apply::Error::Refused { refusal: Refusal::DirectoryOver, path, .. } => {
                Error::DirectoryOver { path: path.trim_end_matches('/').into(), target }
            }
            error => Error::Apply(error),
        }
    }
}

/// The archive without compression, whatever it came in.
fn plain(mut archive: impl Read, limits: &Limits) -> std::io::Result<impl Read> {
    let mut head = Vec::with_capacity(MAGIC_BYTES);
    archive.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut head)?;
    let compression = detect(&head);
    let whole = BufReader::with_capacity(READ, Cursor::new(head).chain(archive));
    Decoder::new(whole, compression, limits)
}
