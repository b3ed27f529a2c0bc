use longshore_runtime::launch::{ControlError, LaunchError};
use longshore_types::Kind;

use crate::db::DbError;

/// What a call on containers may return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done with a container. Where clients look for Docker's words, these are they.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No such container: {word}")]
    NoSuchContainer { word: String },
    #[error("Multiple IDs found with provided prefix: {prefix}")]
    Ambiguous { prefix: String },
    #[error("container {id} is not running")]
    NotRunning { id: String },
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("container {id}: its monitor")]
    Control { id: String, source: ControlError },
    #[error("container {id}: start")]
    Launch { id: String, source: LaunchError },
    #[error("{operation} {object}")]
    Io { operation: &'static str, object: String, source: std::io::Error },
    #[error("the daemon is shutting down")]
    ShuttingDown,
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSuchContainer { .. } => Kind::NotFound,
            Self::Ambiguous { .. } => Kind::InvalidInput,
            Self::NotRunning { .. } => Kind::Conflict,
            Self::Db(error) => error.kind(),
            Self::ShuttingDown => Kind::Unavailable,
            Self::Control { .. } | Self::Launch { .. } | Self::Io { .. } => Kind::Internal,
        }
    }

    /// The whole chain in one line.
    #[must_use]
    pub fn line(&self) -> String {
        crate::line(self)
    }
}
