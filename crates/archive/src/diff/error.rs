use std::io;

use longshore_types::Kind;

use crate::{apply, tar::WriteError};

/// Why a tree could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive could not be written, or an entry has no form in an archive.
    #[error("write the layer")]
    Write(#[source] WriteError),
    /// The kernel refused.
    #[error("{operation} `{path}`")]
    Read {
        operation: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    /// The name has a meaning of its own in a layer: it would delete something instead.
    #[error("`{path}` cannot be stored in a layer, where names with `.wh.` delete files: rename it")]
    Reserved { path: String },
    /// Overlay wrote only a part of the file or directory here and refers to a layer below.
    #[error(
        "`{path}` has `{attribute}`: mount the overlay with redirect_dir=off and metacopy=off for a tree that \
         is to become a layer"
    )]
    Incomplete { path: String, attribute: String },
}

impl Error {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Error::Write(source) => source.kind(),
            Error::Read { source, .. } => match apply::kind_of(source) {
                // Nobody gave us a bad archive: the tree changed.
                Kind::InvalidInput => Kind::Conflict,
                kind => kind,
            },
            Error::Reserved { .. } => Kind::InvalidInput,
            Error::Incomplete { .. } => Kind::Unsupported,
        }
    }

    /// The kernel's part of it.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Error::Read { source, .. } => source,
            other => io::Error::other(other),
        }
    }

    pub(super) fn read(operation: &'static str, path: &[u8]) -> impl Fn(rustix::io::Errno) -> Error {
        let path = apply::readable(path);
        move |errno| Error::Read { operation, path: path.clone(), source: errno.into() }
    }
}
