use std::io;

use longshore_archive::{apply, diff};
use longshore_types::Kind;
use rustix::io::Errno;

/// Why something was not copied out of a container, or into it. Where clients look for Docker's words, these are they.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Container(#[from] crate::container::Error),
    #[error("the writable layer {snapshot} of the container")]
    Store { snapshot: u64, source: longshore_store::Error },
    #[error("Could not find the file {path} in container {container}")]
    NotFound { path: String, container: String },
    #[error("extraction point is not a directory")]
    NoDirectory,
    #[error("{path} is not a directory")]
    ThroughFile { path: String },
    #[error("mounted volume is marked read-only")]
    VolumeReadOnly,
    #[error("container rootfs is marked read-only")]
    RootReadOnly,
    #[error("cannot overwrite directory \"{path}\" with non-directory \"{target}\"")]
    OverDirectory { path: String, target: String },
    #[error("cannot overwrite non-directory \"{path}\" with directory \"{target}\"")]
    DirectoryOver { path: String, target: String },
    #[error("failed to look up {what} {name:?} in container")]
    NoSuchUser { what: &'static str, name: String },
    #[error("{operation} {path}")]
    Io { operation: &'static str, path: String, source: io::Error },
    /// What the caller sent could not be read.
    #[error("read the archive")]
    Input(#[source] io::Error),
    #[error("copy into the container")]
    Apply(#[source] apply::Error),
    #[error("copy out of the container")]
    Write(#[from] diff::Error),
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Container(error) => error.kind(),
            Self::Store { source, .. } => source.kind(),
            Self::NotFound { .. } => Kind::NotFound,
            Self::NoDirectory
            | Self::ThroughFile { .. }
            | Self::VolumeReadOnly
            | Self::RootReadOnly
            | Self::OverDirectory { .. }
            | Self::DirectoryOver { .. }
            | Self::NoSuchUser { .. } => Kind::InvalidInput,
            Self::Io { source, .. } => match Errno::from_io_error(source) {
                Some(Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL) => Kind::InvalidInput,
                _ => Kind::Internal,
            },
            Self::Input(source) => match source.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Kind::InvalidInput,
                _ => Kind::Internal,
            },
            Self::Apply(error) => error.kind(),
            Self::Write(error) => error.kind(),
        }
    }

    /// The failure of a call on `path` in the container that was called `container`.
    pub(super) fn at(operation: &'static str, path: &[u8], container: &str, source: Errno) -> Self {
        let path = readable(path);
        match source {
            Errno::NOENT => Self::NotFound { path, container: container.into() },
            Errno::NOTDIR => Self::ThroughFile { path },
            source => Self::Io { operation, path, source: source.into() },
        }
    }
}

pub(super) fn readable(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
