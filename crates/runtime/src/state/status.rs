use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Dir, Liveness, Record};

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` has not finished.
    Creating,
    /// Init waits for `start`.
    Created,
    Running,
    /// Its cgroup is frozen. No word of the specification, but of every runtime.
    Paused,
    /// Init ended, or was never made and whoever was to make it ended.
    Stopped,
}

impl Status {
    /// Finds the status of the container of `dir`; `frozen` says whether its cgroup is.
    pub fn of(dir: &Dir, record: &Record, frozen: impl FnOnce() -> bool) -> Self {
        match record.init.map(super::Identity::liveness) {
            None if dir.is_locked_by_another() => Self::Creating,
            None | Some(Liveness::Gone | Liveness::Zombie) => Self::Stopped,
            Some(Liveness::Alive) if frozen() => Self::Paused,
            Some(Liveness::Alive) if dir.awaits_start() => Self::Created,
            Some(Liveness::Alive) => Self::Running,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}
