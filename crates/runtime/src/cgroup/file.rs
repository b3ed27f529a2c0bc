//! Reading and writing the files of one cgroup, relative to its directory.

use std::{
    ffi::OsStr,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::fs::{self, CWD, Mode, OFlags};

/// Opens a cgroup's directory, good for [`read`], [`write`] and `CLONE_INTO_CGROUP`.
pub(super) fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    Ok(fs::openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens a file to write commands to.
pub(super) fn open_write(dir: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<OwnedFd> {
    Ok(fs::openat(dir, name.as_ref(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Writes `value` in one call, as the kernel wants it; a short write is an error.
pub(super) fn write_fd(file: impl AsFd, value: &str) -> io::Result<()> {
    let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes()))?;
    if written == value.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Opens the file `name` and writes `value` to it.
pub(super) fn write(dir: impl AsFd, name: impl AsRef<OsStr>, value: &str) -> io::Result<()> {
    write_fd(open_write(dir, name)?, value)
}

/// The whole of the file `name`.
pub(super) fn read(dir: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<String> {
    let file = fs::openat(dir, name.as_ref(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    read_fd(&file)
}

/// The whole of the file at `path`.
pub(super) fn read_path(path: &str) -> io::Result<String> {
    read(CWD, path)
}

/// What is left of an open file. Bytes that are no UTF-8 are replaced.
pub(super) fn read_fd(file: impl AsFd) -> io::Result<String> {
    let mut content = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut buffer))?;
        if count == 0 {
            return Ok(String::from_utf8_lossy(&content).into_owned());
        }
        content.extend_from_slice(&buffer[..count]);
    }
}
