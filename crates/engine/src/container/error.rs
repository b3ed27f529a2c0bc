use longshore_runtime::{
    cgroup::CgroupError,
    launch::{ControlError, LaunchError},
    plan::PlanError,
};
use longshore_types::Kind;

use super::state::Refusal;
use crate::{db::DbError, etc, spec, volume};

/// What a call on containers may return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done with a container. Where clients look for Docker's words, these are they.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No such container: {word}")]
    NoSuchContainer { word: String },
    #[error("could not get container for {word}: No such container: {word}")]
    NoLinkTarget { word: String },
    #[error("Cannot link to a non running container: /{name} AS {link}")]
    LinkNotRunning { name: String, link: String },
    #[error("Cannot link to /{name}, as it does not belong to the default network")]
    LinkNotBridged { name: String },
    #[error("No such link: {word}")]
    NoSuchLink { word: String },
    #[error("Multiple IDs found with provided prefix: {prefix}")]
    Ambiguous { prefix: String },
    #[error("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    BadName { name: String },
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameTaken { name: String, holder: String },
    #[error("Neither old nor new names may be empty")]
    EmptyName,
    #[error("Renaming a container with the same name as its current name")]
    SameName,
    #[error(transparent)]
    Filter(longshore_types::filter::FilterError),
    #[error("a prune operation is already running")]
    PruneRuns,
    #[error("Cannot update container: Container is marked for removal and cannot be \"update\".")]
    UpdateRemoving,
    #[error("Cannot update container: Conflicting options: {what}")]
    UpdateConflict { what: &'static str },
    #[error(
        "Cannot update container: Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
    )]
    UpdateMemory,
    #[error("Restart policy cannot be updated because AutoRemove is enabled for the container")]
    UpdateAutoRemove,
    #[error("No such container: {word}")]
    JoinNoContainer { word: String },
    #[error("failed to join {namespace} namespace: container {id} is not running")]
    JoinNotRunning { namespace: &'static str, id: String },
    #[error(
        "failed to join IPC namespace: container {id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
    )]
    JoinPrivate { id: String },
    #[error(transparent)]
    Spec(#[from] spec::Error),
    #[error(transparent)]
    Workdir(#[from] spec::workdir::WorkdirError),
    #[error(transparent)]
    Shm(#[from] spec::shm::ShmError),
    #[error(transparent)]
    Volume(Box<volume::Error>),
    #[error(transparent)]
    Etc(#[from] etc::EtcError),
    #[error("container {id} is not running")]
    NotRunning { id: String },
    #[error("cannot start a paused container, try unpause instead")]
    StartPaused,
    #[error("container is marked for removal and cannot be started")]
    StartRemoving,
    #[error("Container {id} is paused, unpause the container before this")]
    Paused { id: String },
    #[error("container {id} is already paused")]
    AlreadyPaused { id: String },
    #[error("Container {id} is not paused")]
    NotPaused { id: String },
    #[error("Container {id} is restarting, wait until the container is running")]
    Restarting { id: String },
    #[error("removal of container {id} is already in progress")]
    Removing { id: String },
    #[error(
        "cannot remove container \"/{name}\": container is {phase}: stop the container before removing or force remove"
    )]
    RemoveRunning { name: String, phase: &'static str },
    #[error("cannot remove container \"/{name}\": container is paused and must be unpaused first")]
    RemovePaused { name: String },
    #[error("cannot kill container: {word}")]
    Kill { word: String, source: Box<Self> },
    #[error("container {id} did not end though it was killed")]
    Unkillable { id: String },
    #[error("Invalid signal: {signal}")]
    BadSignal { signal: String },
    /// The command is not there, cannot be executed, or a mount does not fit: the user's mistake.
    #[error("failed to create task for container: {reason}")]
    BadCommand { reason: String, exit_code: i32 },
    #[error("failed to create task for container: {reason}")]
    Start { reason: String },
    #[error(transparent)]
    Image(#[from] longshore_image::Error),
    #[error(transparent)]
    Store(#[from] longshore_store::Error),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Network(#[from] crate::network::Error),
    #[error("failed to set up container networking")]
    Attach { source: crate::network::Error },
    #[error(transparent)]
    Log(#[from] crate::log::Error),
    #[error("container {id}: plan")]
    Plan { id: String, source: PlanError },
    #[error("container {id}: seccomp filter")]
    Seccomp { id: String, source: longshore_runtime::seccomp::SeccompError },
    #[error("container {id}: its monitor")]
    Control { id: String, source: ControlError },
    #[error("container {id}: start")]
    Launch { id: String, source: LaunchError },
    #[error("cgroups")]
    Cgroup(#[from] CgroupError),
    #[error("OCI runtime {path:?}: executable file not found in $PATH")]
    NoRuntime { path: String },
    #[error("{operation} {object}")]
    Io { operation: &'static str, object: String, source: std::io::Error },
    #[error("the daemon is shutting down")]
    ShuttingDown,
}

impl From<volume::Error> for Error {
    fn from(error: volume::Error) -> Self {
        Self::Volume(Box::new(error))
    }
}

/// What it means that a limit cannot be set: mostly that it is none.
fn of_cgroup(error: &CgroupError) -> Kind {
    match error {
        CgroupError::Write { source, .. }
            if matches!(source.raw_os_error(), Some(EINVAL | ERANGE | EBUSY | ENODEV | EOPNOTSUPP)) =>
        {
            Kind::InvalidInput
        }
        CgroupError::Value { .. }
        | CgroupError::Unsupported { .. }
        | CgroupError::NoController { .. }
        | CgroupError::NoFile { .. }
        | CgroupError::BelowUsage { .. }
        | CgroupError::BadPath { .. }
        | CgroupError::Escape { .. }
        | CgroupError::DeviceHole { .. } => Kind::InvalidInput,
        _ => Kind::Internal,
    }
}

const EBUSY: i32 = 16;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;
const EOPNOTSUPP: i32 = 95;

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSuchContainer { .. } => Kind::NotFound,
            Self::Ambiguous { .. }
            | Self::BadName { .. }
            | Self::NoLinkTarget { .. }
            | Self::NoSuchLink { .. }
            | Self::EmptyName
            | Self::SameName
            | Self::BadSignal { .. }
            | Self::JoinNoContainer { .. }
            | Self::JoinPrivate { .. }
            | Self::BadCommand { .. } => Kind::InvalidInput,
            Self::NotRunning { .. }
            | Self::LinkNotRunning { .. }
            | Self::LinkNotBridged { .. }
            | Self::PruneRuns
            | Self::UpdateRemoving
            | Self::UpdateConflict { .. }
            | Self::UpdateMemory
            | Self::UpdateAutoRemove
            | Self::NameTaken { .. }
            | Self::StartPaused
            | Self::StartRemoving
            | Self::Paused { .. }
            | Self::AlreadyPaused { .. }
            | Self::Restarting { .. }
            | Self::Removing { .. }
            | Self::RemoveRunning { .. }
            | Self::RemovePaused { .. } => Kind::Conflict,
            Self::Kill { source, .. } => source.kind(),
            Self::Filter(error) => error.kind(),
            Self::Volume(error) => error.kind(),
            Self::Etc(error) => error.kind(),
            Self::Image(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Db(error) => error.kind(),
            Self::Network(error) | Self::Attach { source: error } => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Spec(error) => error.kind(),
            Self::Workdir(error) => error.kind(),
            Self::Shm(error) => error.kind(),
            Self::Plan { source, .. } => source.kind(),
            Self::ShuttingDown => Kind::Unavailable,
            // Docker has it as a failure of the server.
            Self::JoinNotRunning { .. }
            | Self::NotPaused { .. }
            | Self::Unkillable { .. }
            | Self::Start { .. }
            | Self::Seccomp { .. }
            | Self::Control { .. }
            | Self::Launch { .. }
            | Self::NoRuntime { .. }
            | Self::Io { .. } => Kind::Internal,
            Self::Cgroup(error) => of_cgroup(error),
        }
    }

    /// The whole chain in one line.
    #[must_use]
    pub fn line(&self) -> String {
        crate::line(self)
    }

    /// What a phase says against a verb.
    pub(super) fn refused(refusal: Refusal, id: String) -> Self {
        match refusal {
            Refusal::NotRunning | Refusal::Runs => Self::NotRunning { id },
            Refusal::Paused => Self::Paused { id },
            Refusal::AlreadyPaused => Self::AlreadyPaused { id },
            Refusal::NotPaused => Self::NotPaused { id },
            Refusal::Restarting => Self::Restarting { id },
            Refusal::Removing => Self::Removing { id },
        }
    }
}
