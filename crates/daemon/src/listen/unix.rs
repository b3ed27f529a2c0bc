//! Unix sockets: who may use them, and whose file they are.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Gid, Mode};

use super::{ListenError, Listener};

/// Who may use the socket besides root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// `docker`, if there is such a group.
    Default,
    Named(String),
}

/// The file of a socket that we made: removed when dropped, unless another one is in its place by then.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            fs::remove_file(&self.path).ok();
        }
    }
}

impl Listener {
    /// Makes the socket with mode 0660. Its directory is made where there is none. Changes the umask for a moment: to be
    /// called while the process has one thread.
    pub(crate) fn unix(path: &Path, group: &Group) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Unix { path: path.into(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        remove_stale(path)?;
        let before = rustix::process::umask(Mode::from_raw_mode(0o117));
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = bound.map_err(failed)?;
        let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
        let file = SocketFile { path: path.into(), inode };
        if let Some(gid) = gid(group)? {
            let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            let done = rustix::fs::chownat(CWD, path, None, Some(Gid::from_raw(gid)), flags);
            done.map_err(|errno| failed(errno.into()))?;
        }
        Ok(Self::Unix(listener, Some(file)))
    }
}

/// Makes room: a socket that nobody listens on is left over.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Unix { path: path.into(), source };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NoSocket { path: path.into() });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(_) => Err(ListenError::Taken { path: path.into() }),
    }
}

/// The group's number, from `/etc/group` or as it stands.
fn gid(group: &Group) -> Result<Option<u32>, ListenError> {
    let name = match group {
        Group::Default => "docker",
        Group::Named(name) => name,
    };
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found =
        lines.find_map(|fields| (fields.first() == Some(&name)).then(|| fields.get(2)?.parse().ok())?);
    match (found, group) {
        (None, Group::Named(name)) => Err(ListenError::NoGroup { name: name.clone() }),
        (found, _) => Ok(found),
    }
}
