use std::path::PathBuf;

use longshore_types::Kind;

use crate::{db::DbError, spec::point::PointError};

/// Why something was not done with a volume. Where clients look for Docker's words, these are they.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("get {name}: no such volume")]
    NoSuchVolume { name: String },
    #[error("remove {name}: volume is in use - [{}]", users.join(", "))]
    InUse { name: String, users: Vec<String> },
    #[error("create {name}: driver '{driver}' already has volume '{name}': volume name must be unique")]
    OtherDriver { name: String, driver: String },
    #[error("create {name}: error looking up volume plugin {driver}: plugin {driver:?} not found")]
    NoDriver { name: String, driver: String },
    #[error("create {name}: volume name is too short, names should be at least two alphanumeric characters")]
    ShortName { name: String },
    #[error(
        "create {name}: {name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )]
    Name { name: String },
    #[error("create {name}: invalid option: {option:?}")]
    Option { name: String, option: String },
    #[error("create {name}: missing required option: {option:?}")]
    MissingOption { name: String, option: &'static str },
    #[error("create {name}: quota size requested but no quota support")]
    Quota { name: String },
    #[error("a prune operation is already running")]
    Pruning,
    #[error("volumes-from: no such container: {container}")]
    NoContainer { container: String },
    #[error("error while mounting volume '{}'", path.display())]
    Mount { path: PathBuf, source: std::io::Error },
    #[error("error while creating mount source path '{}'", path.display())]
    Source { path: PathBuf, source: std::io::Error },
    #[error("invalid mount config for type \"bind\": bind source path does not exist: {}", path.display())]
    NoSource { path: PathBuf },
    #[error("path {} is mounted on {mountpoint} but it is not a {wanted} mount", path.display())]
    Propagation { path: PathBuf, mountpoint: String, wanted: &'static str },
    #[error("cannot access path {}: {subpath} in volume {name}", path.display())]
    Subpath { name: String, subpath: String, path: PathBuf, source: std::io::Error },
    #[error("path concatenation escapes the base directory, base: {name}, subpath: {subpath}")]
    Escapes { name: String, subpath: String },
    #[error("cannot mount volume over existing file, file exists {path}")]
    OverFile { path: String },
    #[error("{operation} {}", path.display())]
    Io { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Point(#[from] PointError),
    #[error(transparent)]
    Image(#[from] longshore_image::Error),
    #[error(transparent)]
    Store(#[from] longshore_store::Error),
    #[error(transparent)]
    Filter(#[from] longshore_types::filter::FilterError),
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSuchVolume { .. } | Self::NoDriver { .. } => Kind::NotFound,
            Self::InUse { .. } | Self::OtherDriver { .. } | Self::Pruning => Kind::Conflict,
            Self::ShortName { .. }
            | Self::Name { .. }
            | Self::Option { .. }
            | Self::MissingOption { .. }
            | Self::Quota { .. }
            | Self::NoContainer { .. }
            | Self::NoSource { .. }
            | Self::OverFile { .. }
            | Self::Subpath { .. }
            | Self::Escapes { .. }
            | Self::Propagation { .. }
            | Self::Point(_)
            | Self::Filter(_) => Kind::InvalidInput,
            Self::Db(error) => error.kind(),
            Self::Image(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Mount { .. } | Self::Source { .. } | Self::Io { .. } => Kind::Internal,
        }
    }
}

/// Names the operation and the path of a failure.
pub(super) fn io<E: Into<std::io::Error>>(
    operation: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(E) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { operation, path, source: source.into() }
}
