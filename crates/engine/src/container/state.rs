//! Where a container is in its life.

use longshore_types::Timestamp;
use serde::{Deserialize, Serialize};

/// A container's state, as it is kept and shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub phase: Phase,
    /// Of the init; 0 when there is none.
    pub pid: i32,
    pub exit_code: i32,
    /// Why it did not start.
    pub error: String,
    pub oom_killed: bool,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// Starts by the restart policy since the last start by a user.
    pub restart_count: u32,
    /// Whether a user stopped it: `unless-stopped` leaves it so.
    pub stopped_by_user: bool,
    /// Whether its removal has begun.
    pub removing: bool,
}

/// What a container does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    #[default]
    Created,
    Running,
    Paused,
    /// It has ended and waits for its next start by the restart policy.
    Restarting,
    Removing,
    Exited,
    /// Its removal failed half-way; it can only be removed.
    Dead,
}

impl Phase {
    /// As Docker writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// Whether processes of it exist.
    #[must_use]
    pub fn has_processes(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}
