use std::{io, path::PathBuf, process::ExitStatus};

use longshore_types::Kind;

use crate::wire::{DropReason, Refusal, WireError};

/// Why a container could not be launched.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("cannot {operation} {}", path.display())]
    Directory { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is open to others: it must be the caller's own, mode 0700", path.display())]
    Exposed { path: PathBuf },
    #[error("no directory for the container among the descriptors")]
    NoDirectory,
    #[error("cannot duplicate the container's directory")]
    Duplicate { source: io::Error },
    #[error("cannot start the spawner {}", binary.display())]
    Start { binary: PathBuf, source: io::Error },
    #[error("spawner {} ended with {status}: {message}", binary.display())]
    SpawnerFailed { binary: PathBuf, status: ExitStatus, message: String },
    #[error("spawner went away")]
    SpawnerGone,
    /// A step of making the container.
    #[error("cannot start container: {step}: {cause}")]
    Failed { step: String, cause: String, errno: Option<i32> },
    #[error("launch was refused")]
    Refused(#[source] Refusal),
    #[error("monitor ended without a word")]
    MonitorEnded,
    #[error("unexpected answer: {what}")]
    Unexpected { what: String },
    #[error("cannot talk to the spawner")]
    Wire(#[from] WireError),
}

impl LaunchError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Exposed { .. } => Kind::PermissionDenied,
            Self::SpawnerGone | Self::MonitorEnded => Kind::Unavailable,
            Self::Failed { errno: Some(2), .. } => Kind::NotFound,
            Self::Failed { errno: Some(13), .. } => Kind::PermissionDenied,
            Self::NoDirectory | Self::Refused(Refusal::Malformed { .. }) => Kind::InvalidInput,
            Self::Directory { .. }
            | Self::Duplicate { .. }
            | Self::Start { .. }
            | Self::SpawnerFailed { .. }
            | Self::Failed { .. }
            | Self::Refused(_)
            | Self::Unexpected { .. }
            | Self::Wire(_) => Kind::Internal,
        }
    }
}

/// Why a request to a monitor failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("cannot connect to the monitor")]
    Connect { source: io::Error },
    #[error("cannot read the exit record")]
    Record { source: io::Error },
    #[error("monitor is gone")]
    Gone,
    #[error("monitor ended the connection")]
    Dropped(#[source] DropReason),
    #[error("request was refused")]
    Refused(#[source] Refusal),
    /// A step of making an exec process.
    #[error("cannot start process: {step}: {cause}")]
    Failed { step: String, cause: String, errno: Option<i32> },
    #[error("unexpected answer: {what}")]
    Unexpected { what: String },
    #[error("cannot talk to the monitor")]
    Wire(#[from] WireError),
}

impl ControlError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Gone | Self::Dropped(_) => Kind::Unavailable,
            Self::Refused(Refusal::NoSuchExec { .. }) | Self::Failed { errno: Some(2), .. } => Kind::NotFound,
            Self::Refused(Refusal::Ended | Refusal::ExecExists { .. } | Refusal::Without { .. }) => {
                Kind::Conflict
            }
            Self::Refused(Refusal::TooMany { .. }) => Kind::ResourceExhausted,
            Self::Refused(Refusal::Malformed { .. }) => Kind::InvalidInput,
            Self::Failed { errno: Some(13), .. } => Kind::PermissionDenied,
            Self::Connect { .. }
            | Self::Record { .. }
            | Self::Refused(_)
            | Self::Failed { .. }
            | Self::Unexpected { .. }
            | Self::Wire(_) => Kind::Internal,
        }
    }
}
