//! What a container has changed of its image's files.

use std::os::fd::AsFd;

use longshore_archive::diff;
pub use longshore_archive::diff::{Change, ChangeKind};
use longshore_store::Store;
use longshore_types::Kind;
use rustix::fs::{Mode, OFlags, openat};

/// Why changes could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the writable layer {snapshot} of the container")]
    Store { snapshot: u64, source: longshore_store::Error },
    #[error("open the layers of the image")]
    Layers(#[source] std::io::Error),
    #[error("compare the container with its image")]
    Compare(#[from] diff::Error),
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store { source, .. } => source.kind(),
            Self::Layers(_) => Kind::Internal,
            Self::Compare(error) => error.kind(),
        }
    }
}

/// Compares the snapshot with the layers that it stands on, in Docker's order. Blocks.
pub fn list(store: &Store, snapshot: u64) -> Result<Vec<Change>, Error> {
    let fail = |source| Error::Store { snapshot, source };
    let found = store.find_snapshot(snapshot).map_err(fail)?;
    let upper = found.upper().map_err(fail)?;
    let lower = store.mount_layers(found.layers()).map_err(fail)?;
    // A detached mount can be looked up in, and not be read.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lower = openat(&lower, c".", flags, Mode::empty()).map_err(|errno| Error::Layers(errno.into()))?;
    Ok(diff::changes(upper.as_fd(), lower.as_fd())?)
}
