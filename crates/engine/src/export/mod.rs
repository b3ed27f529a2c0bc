//! The whole file system of a container as a tar, without what is mounted in it.

use std::{
    io::Write,
    os::fd::{AsFd, OwnedFd},
};

use longshore_archive::diff;
use longshore_store::{Access, Store};
use longshore_types::Kind;
use rustix::fs::{Mode, OFlags, openat};

use crate::container::{Container, Phase};

/// Why a container was not exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("You cannot export container {id} which is Dead")]
    Dead { id: String },
    #[error("You cannot export container {id} which is being removed")]
    Removing { id: String },
    #[error("the writable layer {snapshot} of the container")]
    Store { snapshot: u64, source: longshore_store::Error },
    #[error("open the root of the container")]
    Root(#[source] std::io::Error),
    #[error("write the container's files")]
    Write(#[from] diff::Error),
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Dead { .. } | Self::Removing { .. } => Kind::Conflict,
            Self::Store { source, .. } => source.kind(),
            Self::Root(_) => Kind::Internal,
            Self::Write(error) => error.kind(),
        }
    }
}

/// The files of a container, open.
#[derive(Debug)]
pub struct Tree(OwnedFd);

/// Opens the files of a container; it may run. Blocks.
///
/// A second mount of its layers, read-only: the container's own shows what is mounted in it too.
pub fn open(store: &Store, container: &Container) -> Result<Tree, Error> {
    let record = container.record();
    let id = || record.id.to_string();
    match record.state.phase {
        Phase::Dead => return Err(Error::Dead { id: id() }),
        Phase::Removing => return Err(Error::Removing { id: id() }),
        _ if record.state.removing => return Err(Error::Removing { id: id() }),
        _ => {}
    }
    let snapshot = record.snapshot;
    let fail = |source| Error::Store { snapshot, source };
    let mount = store.find_snapshot(snapshot).map_err(fail)?.mount(Access::ReadOnly).map_err(fail)?;
    // A detached mount can be looked up in, and not be read.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(&mount, c".", flags, Mode::empty()).map_err(|errno| Error::Root(errno.into()))?;
    Ok(Tree(root))
}

impl Tree {
    /// Writes it. Blocks.
    pub fn write(&self, out: impl Write) -> Result<(), Error> {
        diff::write_tree(self.0.as_fd(), out)?;
        Ok(())
    }
}
