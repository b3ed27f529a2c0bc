use std::{io, path::PathBuf};

use longshore_runtime::{
    cgroup::CgroupError,
    container::CreateError,
    hooks::HookError,
    plan::PlanError,
    seccomp::SeccompError,
    spawner::SpawnerError,
    spec::LoadError,
    state::{StateError, Status},
};
use longshore_types::{ContainerId, ContainerIdError};

use super::flag::UsageError;

/// Why a command failed. What a library says stands for itself; the rest is this layer's own.
///
/// Callers look for some of these texts, as they stand in runc: "container does not exist",
/// "container not running", "container with given ID already exists".
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    ContainerId(#[from] ContainerIdError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error(transparent)]
    Spawner(#[from] SpawnerError),
    #[error("cannot {action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {action}")]
    System { action: &'static str, source: io::Error },
    #[error("cannot write to stdout")]
    Output { source: io::Error },
    #[error("container not running")]
    NotRunning,
    #[error("container with id {id} is not running")]
    EventsStopped { id: ContainerId },
    #[error("container not paused")]
    NotPaused,
    #[error("cannot exec in a paused container (use --ignore-paused to override)")]
    ExecPaused,
    #[error("cannot exec in a {status} container")]
    ExecNotRunning { status: Status },
    #[error("container {id} is busy: another command creates or deletes it")]
    Busy { id: ContainerId },
    #[error("cannot start a container that has stopped")]
    StartStopped,
    #[error("cannot start an already {status} container")]
    StartStarted { status: Status },
    #[error("cannot delete container {id} that is not stopped: {status}")]
    DeleteRunning { id: ContainerId, status: Status },
    #[error("init {pid} does not die of SIGKILL")]
    StillRunning { pid: i32 },
    #[error("unknown signal {name:?}")]
    UnknownSignal { name: String },
    #[error("cannot allocate tty if longshore-runtime will detach without setting console socket")]
    TerminalDetached,
    #[error("cannot use console socket if longshore-runtime will not detach or allocate tty")]
    NeedlessConsoleSocket,
    #[error("process args cannot be empty")]
    NoArgs,
    #[error("process cwd {cwd:?} must be an absolute path")]
    RelativeCwd { cwd: String },
    #[error("user {user:?} is not of the form UID[:GID]")]
    BadUser { user: String },
    #[error("{gid:?} is no group ID")]
    BadGid { gid: String },
    #[error("bad sub-cgroup {value:?}: {reason}")]
    BadSubCgroup { value: String, reason: &'static str },
    #[error("config.json exists in {}, remove it first", directory.display())]
    ConfigExists { directory: PathBuf },
    #[error("ps exited with {status}")]
    Ps { status: std::process::ExitStatus },
    #[error("ps printed no PID column")]
    PsColumn,
    #[error("preserved descriptor {fd} (of {count}) is not open")]
    PreservedDescriptor { fd: u32, count: u32 },
}

/// What a command ends with: the program's exit code, or why it failed.
pub(super) type Outcome = Result<u8, Failure>;
