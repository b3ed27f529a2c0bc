use longshore_types::Kind;

use crate::{cgroup::CgroupError, seccomp::SeccompError};

/// Why a spec cannot be planned. Every variant names the field.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("{field} is missing")]
    Missing { field: &'static str },
    #[error("{field} has the invalid value {value:?}")]
    Invalid { field: String, value: String },
    #[error("{field} must be an absolute path, not {path:?}")]
    NotAbsolute { field: String, path: String },
    #[error("{field} has a NUL byte")]
    Nul { field: String },
    #[error("{field} contradicts {with}")]
    Conflict { field: String, with: &'static str },
    #[error("{field} needs a private {namespace} namespace: the host's must not change")]
    NeedsNamespace { field: &'static str, namespace: &'static str },
    #[error("linux.sysctl {key:?} needs a private {namespace} namespace: the host's must not change")]
    SysctlNeedsNamespace { key: String, namespace: &'static str },
    #[error("linux.sysctl {key:?} is not private to any namespace and would change the host")]
    SysctlOfHost { key: String },
    #[error("{field}: {what} is not supported")]
    Unsupported { field: &'static str, what: String },
    #[error("mount destination {destination:?} is inside /proc")]
    InsideProc { destination: String },
    #[error("linux.seccomp")]
    Seccomp(#[from] SeccompError),
    #[error("linux.resources")]
    Cgroup(#[from] CgroupError),
}

impl PlanError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unsupported { .. } => Kind::Unsupported,
            _ => Kind::InvalidInput,
        }
    }
}
