//! Where a container is in its life.

use longshore_types::Timestamp;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

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
    /// Whether that takes the volumes too that nobody named.
    #[serde(skip_serializing_if = "is_false")]
    pub removing_volumes: bool,
    /// Whether it is paused for a commit alone: a daemon that finds it so lets it go on.
    #[serde(skip_serializing_if = "is_false")]
    pub held: bool,
    /// Whether its limits may be others than those on record: a daemon that finds it so sets them.
    #[serde(skip_serializing_if = "is_false")]
    pub limits_due: bool,
    /// How often it has ended, in all.
    pub ends: u64,
    /// Whether it was removed: what is left is what somebody still holds of it.
    #[serde(skip)]
    pub removed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_false(flag: &bool) -> bool {
    !flag
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

/// What is asked of a container, as far as its phase decides whether that is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Start,
    Stop,
    Kill,
    Pause,
    Unpause,
    /// Exec, attach, top and what else needs its processes to run.
    Use,
    Rename,
    /// Without force.
    Remove,
}

/// Whether a verb is possible in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Go,
    /// It is so already.
    Nothing,
    Refused(Refusal),
}

/// Why a verb is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NotRunning,
    Paused,
    AlreadyPaused,
    NotPaused,
    Restarting,
    Removing,
    Runs,
}

impl State {
    /// Says that it runs since then.
    pub(super) fn begin(&mut self, at: Timestamp) {
        (self.phase, self.started_at) = (Phase::Running, at);
        (self.exit_code, self.oom_killed, self.stopped_by_user) = (0, false, false);
        self.error.clear();
    }
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Running,
        Self::Paused,
        Self::Restarting,
        Self::Removing,
        Self::Exited,
        Self::Dead,
    ];

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

    /// Whether Docker calls it running: it does, or is to again in a moment.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }

    /// Whether a verb is possible now: the one table of what may follow what.
    #[must_use]
    pub fn judge(self, verb: Verb) -> Verdict {
        use Verdict::{Go, Nothing, Refused};
        match (verb, self) {
            (Verb::Start, Self::Created | Self::Exited | Self::Restarting) => Go,
            (Verb::Start, Self::Running) => Nothing,
            (Verb::Start | Verb::Use, Self::Paused) => Refused(Refusal::Paused),
            (Verb::Start | Verb::Rename, Self::Removing | Self::Dead) => Refused(Refusal::Removing),

            (Verb::Stop, Self::Running | Self::Paused | Self::Restarting) => Go,
            (Verb::Stop, Self::Created | Self::Exited | Self::Removing | Self::Dead) => Nothing,

            (Verb::Kill, Self::Running | Self::Paused) => Go,
            (Verb::Pause | Verb::Use, Self::Running) => Go,
            (Verb::Pause, Self::Paused) => Refused(Refusal::AlreadyPaused),
            (Verb::Pause | Verb::Use, Self::Restarting) => Refused(Refusal::Restarting),
            (Verb::Unpause, Self::Paused) => Go,
            (Verb::Unpause, _) => Refused(Refusal::NotPaused),
            (Verb::Kill | Verb::Pause | Verb::Use, _) => Refused(Refusal::NotRunning),

            (Verb::Rename, _) => Go,

            (Verb::Remove, Self::Created | Self::Exited | Self::Dead) => Go,
            (Verb::Remove, Self::Removing) => Refused(Refusal::Removing),
            (Verb::Remove, Self::Paused) => Refused(Refusal::Paused),
            (Verb::Remove, Self::Running | Self::Restarting) => Refused(Refusal::Runs),
        }
    }
}
