//! The working directory of a container, made where the image has none.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};

/// Why there is no working directory.
#[derive(Debug, thiserror::Error)]
pub enum WorkdirError {
    #[error("Cannot mkdir: {path} is not a directory")]
    NotDirectory { path: String },
    #[error("make working directory {path}")]
    Make { path: String, source: std::io::Error },
}

impl WorkdirError {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> longshore_types::Kind {
        match self {
            Self::NotDirectory { .. } => longshore_types::Kind::InvalidInput,
            Self::Make { .. } => longshore_types::Kind::Internal,
        }
    }
}

/// Makes `path` and what is missing above it in the tree at `root`, owned by root and open to all for reading.
pub fn make(root: BorrowedFd<'_>, path: &str) -> Result<(), WorkdirError> {
    match directory(root, path) {
        Ok(_) => Ok(()),
        Err(Errno::NOTDIR) => Err(WorkdirError::NotDirectory { path: path.into() }),
        Err(errno) => Err(WorkdirError::Make { path: path.into(), source: errno.into() }),
    }
}

/// Opens a directory of the tree, made where absent; links are followed inside.
fn directory(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    let mut way = String::new();
    let mut here = open(root, ".")?;
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        way.push_str(part);
        let next = match open(root, &way) {
            Err(Errno::NOENT) => {
                match rustix::fs::mkdirat(here.as_fd(), part, Mode::from_raw_mode(0o755)) {
                    Ok(()) => rustix::fs::chmodat(
                        &here,
                        part,
                        Mode::from_raw_mode(0o755),
                        rustix::fs::AtFlags::empty(),
                    )?,
                    // A link that leads nowhere.
                    Err(Errno::EXIST) => return Err(Errno::NOTDIR),
                    Err(errno) => return Err(errno),
                }
                open(root, &way)
            }
            other => other,
        };
        here = next?;
        way.push('/');
    }
    Ok(here)
}

fn open(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), inside)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsFd, os::unix::fs::PermissionsExt};

    use super::make;

    #[test]
    fn directories_are_made_inside() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let fd = fs::File::open(root.path()).unwrap();
        make(fd.as_fd(), "/a/b/c").unwrap();
        let mode = fs::metadata(root.path().join("a/b/c")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        // A link to a directory of the host is one to the same path inside.
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
        assert!(make(fd.as_fd(), "/link/x").is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        std::os::unix::fs::symlink("/a", root.path().join("in")).unwrap();
        make(fd.as_fd(), "/in/d").unwrap();
        assert!(root.path().join("a/d").is_dir());
        fs::write(root.path().join("file"), "").unwrap();
        let message = make(fd.as_fd(), "/file").unwrap_err().to_string();
        assert_eq!(message, "Cannot mkdir: /file is not a directory");
    }
}
