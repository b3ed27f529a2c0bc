//! The processes of a container, as `ps` of the host lists them.
//!
//! What Docker asks `ps` for by default (`-ef`) is read from `/proc` without starting a program. For other arguments
//! the host's `ps` is started, with the processes that it is asked for; of its lines only the container's are kept.

mod format;
mod host;
mod process;
#[cfg(test)]
mod tests;

use longshore_runtime::cgroup::CgroupError;
use longshore_types::Kind;

use crate::container::{Container, Error as ContainerError, Phase};

/// What Docker takes where nothing is said.
const DEFAULT: &str = "-ef";

/// A table of processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    pub titles: Vec<String>,
    /// As many columns as there are titles.
    pub processes: Vec<Vec<String>>,
}

/// Why processes could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Container(#[from] ContainerError),
    #[error("Container {id} is restarting, wait until the container is running")]
    Restarting { id: String },
    #[error("specifying \"{key}={value}\" is not allowed")]
    RenamedPid { key: String, value: String },
    #[error("the processes of container {id}")]
    Cgroup { id: String, source: CgroupError },
    #[error("ps: start it: only the arguments `-ef` do without the program")]
    Start(#[source] std::io::Error),
    #[error("ps: {message}")]
    Failed { message: String },
    #[error("Couldn't find PID field in ps output")]
    NoPid,
    #[error("Unexpected pid '{word}'")]
    BadPid { word: String },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Container(error) => error.kind(),
            Self::Restarting { .. } => Kind::Conflict,
            Self::RenamedPid { .. } | Self::Failed { .. } | Self::NoPid | Self::BadPid { .. } => {
                Kind::InvalidInput
            }
            // A zero byte in an argument.
            Self::Start(error) if error.kind() == std::io::ErrorKind::InvalidInput => Kind::InvalidInput,
            Self::Cgroup { .. } | Self::Start(_) => Kind::Internal,
        }
    }
}

impl Container {
    /// Lists its processes; `arguments` are those of `ps`. Blocks.
    pub fn top(&self, arguments: &str) -> Result<Top, Error> {
        let record = self.record();
        let id = || record.id.to_string();
        match record.state.phase {
            Phase::Running | Phase::Paused => {}
            Phase::Restarting => return Err(Error::Restarting { id: id() }),
            _ => return Err(ContainerError::NotRunning { id: id() }.into()),
        }
        let arguments = if arguments.is_empty() { DEFAULT } else { arguments };
        host::check(arguments)?;
        let fail = |source| Error::Cgroup { id: id(), source };
        let cgroup = crate::stats::cgroup_of(&record).map_err(fail)?;
        let mut pids = cgroup.pids(true).map_err(fail)?;
        pids.sort_unstable();
        if arguments == DEFAULT { Ok(format::full(&pids)) } else { host::run(arguments, &pids) }
    }
}
