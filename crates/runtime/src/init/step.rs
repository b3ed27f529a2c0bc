use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// The steps of making a container's process, as an error names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    Affinity,
    Capabilities,
    Cgroup,
    Channel,
    Clone,
    Console,
    Cwd,
    Device,
    Exec,
    Groups,
    Hook,
    Hostname,
    IdMap,
    Keyring,
    Label,
    MaskedPath,
    MemoryPolicy,
    Mount,
    Namespace,
    NetDevice,
    Network,
    NoNewPrivileges,
    OomScore,
    Personality,
    Pivot,
    ReadonlyPath,
    Rlimit,
    RootMount,
    Scheduler,
    Seccomp,
    Stdio,
    Sysctl,
    User,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Affinity => "set CPU affinity",
            Self::Capabilities => "set capabilities",
            Self::Cgroup => "join cgroup",
            Self::Channel => "talk to the parent",
            Self::Clone => "clone",
            Self::Console => "set up console",
            Self::Cwd => "change to process.cwd",
            Self::Device => "make device",
            Self::Exec => "exec",
            Self::Groups => "set supplementary groups",
            Self::Hook => "run hook",
            Self::Hostname => "set host name",
            Self::IdMap => "write id mapping",
            Self::Keyring => "join session keyring",
            Self::Label => "set security label",
            Self::MaskedPath => "mask path",
            Self::MemoryPolicy => "set memory policy",
            Self::Mount => "mount",
            Self::Namespace => "enter namespace",
            Self::NetDevice => "move network device",
            Self::Network => "bring loopback up",
            Self::NoNewPrivileges => "set no_new_privs",
            Self::OomScore => "set process.oomScoreAdj",
            Self::Personality => "set personality",
            Self::Pivot => "change root",
            Self::ReadonlyPath => "make path read-only",
            Self::Rlimit => "set process.rlimits",
            Self::RootMount => "mount root.path",
            Self::Scheduler => "set scheduler",
            Self::Seccomp => "install seccomp filter",
            Self::Stdio => "set up stdio",
            Self::Sysctl => "set sysctl",
            Self::User => "change user",
        })
    }
}

/// A step that failed: which one, on what, and why.
#[derive(Debug, thiserror::Error)]
#[error("{step}{}{subject}", if subject.is_empty() { "" } else { " " })]
pub struct StepError {
    pub step: Step,
    /// The path, name or value that the step was about; may be empty.
    pub subject: String,
    pub source: io::Error,
}

/// Says of an I/O error which step it broke.
pub(crate) trait At<T> {
    fn at(self, step: Step) -> Result<T, StepError>;
    fn on(self, step: Step, subject: impl fmt::Display) -> Result<T, StepError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, StepError> {
        self.map_err(|error| StepError { step, subject: String::new(), source: error.into() })
    }

    fn on(self, step: Step, subject: impl fmt::Display) -> Result<T, StepError> {
        self.map_err(|error| StepError { step, subject: subject.to_string(), source: error.into() })
    }
}
