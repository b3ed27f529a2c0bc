//! What containers use: the numbers of the kernel's files, once a second for whoever listens.
//!
//! One task samples all containers that anybody listens to; it ends with the last listener, so an idle daemon does not
//! wake up. A slow listener misses samples and gets the newest.

mod collect;
mod sample;
mod system;

use longshore_runtime::cgroup::CgroupError;
use longshore_types::Kind;

pub use collect::{Listener, Stats};
pub(crate) use sample::cgroup_of;
pub use sample::{Interface, Sample, Usage};

/// Why a container could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Container(#[from] crate::container::Error),
    #[error("what container {id} uses")]
    Cgroup { id: String, source: CgroupError },
    #[error("read {path}")]
    Read { path: String, source: std::io::Error },
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Container(error) => error.kind(),
            Self::Cgroup { .. } | Self::Read { .. } => Kind::Internal,
        }
    }
}
