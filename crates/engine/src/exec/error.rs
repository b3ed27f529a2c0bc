use longshore_runtime::{launch::ControlError, plan::PlanError, wire::Refusal};
use longshore_types::Kind;

use crate::spec::UserError;

/// Why a process was not added to a container. Where clients look for Docker's words, these are they.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("No such exec instance: {id}")]
    NoSuchExec { id: String },
    #[error("No exec command specified")]
    NoCommand,
    #[error("container {id} is not running")]
    NotRunning { id: String },
    #[error("container {id} is paused, unpause the container before exec")]
    Paused { id: String },
    #[error("container {id} is restarting, wait until the container is running")]
    Restarting { id: String },
    #[error("exec command {id} has already run")]
    HasRun { id: String },
    #[error("exec command {id} is already running")]
    Runs { id: String },
    #[error("Invalid escape keys ({keys}) provided")]
    Keys { keys: String },
    #[error("too many exec instances: {limit} at most")]
    TooMany { limit: usize },
    #[error(transparent)]
    User(UserError),
    /// The program is not there, or cannot be executed.
    #[error("OCI runtime exec failed: exec failed: unable to start container process: {reason}")]
    Start { reason: String, exit_code: i32 },
    #[error("exec: plan")]
    Plan { source: PlanError },
    #[error("exec {id}: the container's monitor")]
    Control { id: String, source: ControlError },
    #[error("exec {id}: {operation}")]
    Io { id: String, operation: &'static str, source: std::io::Error },
    #[error("exec {id} is not running")]
    Ended { id: String },
    #[error("exec {id} has no terminal")]
    NoTerminal { id: String },
    #[error(transparent)]
    Container(#[from] crate::container::Error),
    #[error("start of a process ended")]
    Task { source: tokio::task::JoinError },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSuchExec { .. } => Kind::NotFound,
            Self::NoCommand | Self::Keys { .. } | Self::Start { .. } | Self::NoTerminal { .. } => {
                Kind::InvalidInput
            }
            Self::NotRunning { .. }
            | Self::Ended { .. }
            | Self::Paused { .. }
            | Self::Restarting { .. }
            | Self::HasRun { .. }
            | Self::Runs { .. } => Kind::Conflict,
            Self::TooMany { .. } => Kind::ResourceExhausted,
            Self::User(error) => error.kind(),
            Self::Plan { source } => source.kind(),
            Self::Container(error) => error.kind(),
            Self::Control { .. } | Self::Io { .. } | Self::Task { .. } => Kind::Internal,
        }
    }

    /// The exit code that is shown for a process that never ran.
    pub(super) fn exit_code(&self) -> i32 {
        if let Self::Start { exit_code, .. } = self { *exit_code } else { 126 }
    }

    /// What a monitor says against an exec, in Docker's words.
    pub(super) fn refused(container: &str, exec: &str, program: &str, error: ControlError) -> Self {
        let id = || container.to_owned();
        match error {
            ControlError::Gone | ControlError::Refused(Refusal::Ended | Refusal::NotStarted) => {
                Self::NotRunning { id: id() }
            }
            ControlError::Refused(Refusal::Paused) => Self::Paused { id: id() },
            ControlError::Failed { step, cause, errno } => {
                let text = words(&cause, errno);
                let reason = if step == "exec" || step.starts_with("exec ") {
                    format!("exec: {program:?}: {text}")
                } else if step.starts_with("change to process.cwd") {
                    format!("chdir to cwd failed: {text}")
                } else {
                    format!("{step}: {cause}")
                };
                let missing = reason.contains("executable file not found");
                let exit_code = if missing || matches!(errno, Some(ENOENT | ENOTDIR)) { 127 } else { 126 };
                Self::Start { reason, exit_code }
            }
            source => Self::Control { id: exec.into(), source },
        }
    }
}

const ENOENT: i32 = 2;
const ENOEXEC: i32 = 8;
const EACCES: i32 = 13;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;

/// The cause as Go's programs write it, which clients look for.
fn words(cause: &str, errno: Option<i32>) -> &str {
    match errno {
        Some(ENOENT) => "no such file or directory",
        Some(EACCES) => "permission denied",
        Some(EISDIR) => "is a directory: permission denied",
        Some(ENOEXEC) => "exec format error",
        Some(ENOTDIR) => "not a directory",
        _ => cause,
    }
}
