use longshore_runtime::launch::ControlError;
use longshore_types::Kind;

/// Why streams were not connected, or broke.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("container {id} is paused, unpause the container before attach")]
    Paused { id: String },
    #[error("container {id} is restarting, wait until the container is running")]
    Restarting { id: String },
    #[error("container {id} was not started")]
    NotStarted { id: String },
    #[error("Invalid detach keys ({keys}) provided")]
    DetachKeys { keys: String },
    #[error(transparent)]
    Container(#[from] crate::container::Error),
    #[error("container {id}: its monitor")]
    Control { id: String, source: ControlError },
    #[error("copy of the streams ended")]
    Task { source: tokio::task::JoinError },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Paused { .. } | Self::Restarting { .. } | Self::NotStarted { .. } => Kind::Conflict,
            Self::DetachKeys { .. } => Kind::InvalidInput,
            Self::Container(error) => error.kind(),
            Self::Control { source, .. } => source.kind(),
            Self::Task { .. } => Kind::Internal,
        }
    }
}
