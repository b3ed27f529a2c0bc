//! The whole file system of a container as a tar, without what is mounted in it.

use std::{
    io::Write,
    os::fd::{AsFd, OwnedFd},
};

use longshore_archive::diff;
use longshore_types::Kind;

use crate::container::{self, Container, Containers, Phase};

/// Why a container was not exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("You cannot export container {id} which is Dead")]
    Dead { id: String },
    #[error("You cannot export container {id} which is being removed")]
    Removing { id: String },
    #[error(transparent)]
    Container(#[from] container::Error),
    #[error("write the container's files")]
    Write(#[from] diff::Error),
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Dead { .. } | Self::Removing { .. } => Kind::Conflict,
            Self::Container(error) => error.kind(),
            Self::Write(error) => error.kind(),
        }
    }
}

/// The files of a container, open.
#[derive(Debug)]
pub struct Tree(OwnedFd);

/// Opens the files of a container; it may run. Blocks.
pub fn open(containers: &Containers, container: &Container) -> Result<Tree, Error> {
    let record = container.record();
    let id = || record.id.to_string();
    match record.state.phase {
        Phase::Dead => Err(Error::Dead { id: id() }),
        Phase::Removing => Err(Error::Removing { id: id() }),
        _ if record.state.removing => Err(Error::Removing { id: id() }),
        _ => Ok(Tree(containers.bare_root(container)?)),
    }
}

impl Tree {
    /// Writes it. Blocks.
    pub fn write(&self, out: impl Write) -> Result<(), Error> {
        diff::write_tree(self.0.as_fd(), out)?;
        Ok(())
    }
}
