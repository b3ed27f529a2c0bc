//! Directories of the data root, by descriptor. Each change is a failpoint.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::{
    error::{At, Result},
    failpoint,
};

/// An open directory of ours, with its path for messages.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

const OPEN: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Dir {
    /// Opens `path`, which may lead through links.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).at("open", path)?;
        Ok(Self { fd, path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in here, for messages and for SQLite.
    pub(crate) fn join(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(name.as_ref())
    }

    /// Opens a directory in here.
    pub(crate) fn child(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let path = self.join(&name);
        let fd = rustix::fs::openat(&self.fd, name.as_ref(), OPEN, Mode::empty()).at("open", &path)?;
        Ok(Self { fd, path })
    }

    /// Makes a directory in here if there is none, and opens it. `0700`, whatever it was.
    pub(crate) fn ensure(&self, name: &str) -> Result<Self> {
        failpoint::step("dir.ensure").at("create", self.join(name))?;
        match rustix::fs::mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).at("create", self.join(name)),
        }
        let dir = self.child(name)?;
        rustix::fs::fchmod(&dir.fd, Mode::RWXU).at("protect", &dir.path)?;
        Ok(dir)
    }

    /// Makes a directory that does not exist, with exactly this mode.
    pub(crate) fn make(&self, name: &str, mode: u32) -> Result<Self> {
        failpoint::step("dir.make").at("create", self.join(name))?;
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU).at("create", self.join(name))?;
        let dir = self.child(name)?;
        rustix::fs::fchmod(&dir.fd, Mode::from_raw_mode(mode)).at("protect", &dir.path)?;
        Ok(dir)
    }

    /// What is in here, without `.` and `..`.
    pub(crate) fn entries(&self) -> Result<Vec<(OsString, FileType)>> {
        let mut found = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).at("list", &self.path)? {
            let entry = entry.at("list", &self.path)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                found.push((OsString::from_vec(name.to_vec()), entry.file_type()));
            }
        }
        Ok(found)
    }

    /// What `name` is, if it is there. Links are not followed.
    pub(crate) fn stat(&self, name: impl AsRef<OsStr>) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error).at("look at", self.join(name)),
        }
    }

    /// Renames `name` in here to `new` in `to`.
    pub(crate) fn rename(&self, name: impl AsRef<OsStr>, to: &Self, new: impl AsRef<OsStr>) -> Result<()> {
        failpoint::step("dir.rename").at("rename", self.join(&name))?;
        rustix::fs::renameat(&self.fd, name.as_ref(), &to.fd, new.as_ref()).at("rename", self.join(name))
    }

    /// Removes a file; one that is not there is removed already.
    pub(crate) fn unlink(&self, name: impl AsRef<OsStr>) -> Result<()> {
        failpoint::step("dir.unlink").at("remove", self.join(&name))?;
        match rustix::fs::unlinkat(&self.fd, name.as_ref(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error).at("remove", self.join(name)),
        }
    }

    /// Opens a file of ours to be read.
    pub(crate) fn open(&self, name: impl AsRef<OsStr>) -> Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::openat(&self.fd, name.as_ref(), flags, Mode::empty()) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error).at("open", self.join(name)),
        }
    }

    /// Opens a file to be read and written, and creates it if there is none.
    pub(crate) fn create(&self, name: impl AsRef<OsStr>) -> Result<File> {
        failpoint::step("dir.create").at("create", self.join(&name))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(&self.fd, name.as_ref(), flags, Mode::RUSR | Mode::WUSR)
            .at("create", self.join(name))?;
        Ok(fd.into())
    }

    /// The whole of a file that is not longer than `limit`; `None` if it is longer or not there.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open(name)? else { return Ok(None) };
        let mut content = Vec::new();
        file.take(limit + 1).read_to_end(&mut content).at("read", self.join(name))?;
        Ok((content.len() as u64 <= limit).then_some(content))
    }

    /// Writes a whole file; a reader sees the old one or the new one. Not yet durable.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let temporary = format!("{name}.new");
        let written = self.create(&temporary).and_then(|mut file| {
            file.set_len(0).at("write", self.join(name))?;
            failpoint::step("dir.write").at("write", self.join(name))?;
            file.write_all(content).at("write", self.join(name))?;
            self.rename(&temporary, self, name)
        });
        if written.is_err() {
            // Best effort: the first error counts, and opening the store removes it too.
            rustix::fs::unlinkat(&self.fd, &temporary, AtFlags::empty()).ok();
        }
        written
    }

    /// Makes the names in here durable.
    pub(crate) fn sync(&self) -> Result<()> {
        failpoint::step("dir.sync").at("sync", &self.path)?;
        rustix::fs::fsync(&self.fd).at("sync", &self.path)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Dir> for OwnedFd {
    fn from(dir: Dir) -> Self {
        dir.fd
    }
}

/// The number that a name of ours is, if it is one: `7`, not `07` or `+7`.
pub(crate) fn number(name: &OsStr) -> Option<u64> {
    let number: u64 = name.to_str()?.parse().ok()?;
    (number.to_string().as_str() == name).then_some(number)
}
