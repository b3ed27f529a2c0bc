use std::path::PathBuf;

use longshore_types::Kind;

use super::{
    capability::CapabilityError, cdi::CdiError, device::DeviceError, point::PointError, process::UlimitError,
    seccomp::SeccompError, security::SecurityError, sysctl::SysctlError, tmpfs::TmpfsError, user::UserError,
    validate::Invalid,
};

/// Why a container cannot be what it is asked to be. Where clients know Docker's words, these are they.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no command specified")]
    NoCommand,
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Mount(#[from] PointError),
    #[error(transparent)]
    Tmpfs(#[from] TmpfsError),
    #[error(transparent)]
    Security(#[from] SecurityError),
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Cdi(#[from] CdiError),
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    #[error(transparent)]
    Ulimit(#[from] UlimitError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error("invalid CapAdd: {0}")]
    CapAdd(CapabilityError),
    #[error("invalid CapDrop: {0}")]
    CapDrop(CapabilityError),
    #[error("failed to join {kind} namespace: container {container} is not running")]
    NotJoined { kind: &'static str, container: String },
    #[error("path {} is not UTF-8", path.display())]
    NotUtf8 { path: PathBuf },
    #[error("option WritableCgroups conflicts with user namespaces and rootless mode")]
    WritableCgroups,
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::User(error) => error.kind(),
            Self::NotJoined { .. } => Kind::Conflict,
            Self::Invalid(Invalid::StorageOpt { .. }) => Kind::Unsupported,
            _ => Kind::InvalidInput,
        }
    }
}
