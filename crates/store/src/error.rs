use std::{io, path::PathBuf};

use longshore_types::{DiffId, Digest, ImageId, Kind};

/// What every function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("the store's database, store.db{}", of_disk(.0))]
    Database(#[from] rusqlite::Error),
    #[error("data root {} is in use by process {}: stop it, or use another data root", root.display(),
        pid.map_or_else(|| "(unknown)".to_owned(), |pid| pid.to_string()))]
    Locked { root: PathBuf, pid: Option<u32> },
    #[error("the store in {} has format {found}, this version knows up to {known}: use a newer version, or another data root", root.display())]
    NewerFormat { root: PathBuf, found: i64, known: i64 },
    #[error("blob {expected}: the content hashes to {found}{}", was_resumed(*resumed))]
    DigestMismatch { expected: Digest, found: Digest, resumed: bool },
    #[error("blob {digest}: {found} bytes came, {expected} were announced")]
    SizeMismatch { digest: Digest, expected: u64, found: u64 },
    #[error("blob {digest} is being written by somebody else: wait for them and look again")]
    IngestBusy { digest: Digest },
    #[error("no such blob: {digest}")]
    NoSuchBlob { digest: Digest },
    #[error("no such layer: {diff_id}")]
    NoSuchLayer { diff_id: DiffId },
    /// Docker's clients match on this text.
    #[error("No such image: {name}")]
    NoSuchImage { name: String },
    #[error("no such tag: {name}")]
    NoSuchTag { name: String },
    #[error("image id {prefix:?} is ambiguous: it begins {count} images, for example {} and {}",
        examples.first().map_or("", String::as_str), examples.get(1).map_or("", String::as_str))]
    Ambiguous { prefix: String, count: usize, examples: Vec<String> },
    #[error("image {image} cannot be stored without its {missing}")]
    Incomplete { image: ImageId, missing: String },
    #[error("manifest {digest} cannot be stored without its {missing}")]
    IncompleteManifest { digest: Digest, missing: String },
    #[error("image {image} is in use by {}", by.join(", "))]
    ImageInUse { image: ImageId, by: Vec<String> },
    #[error("reference {name} cannot be a tag: it has {problem}")]
    NoTag { name: String, problem: &'static str },
    #[error("no such lease: {name}")]
    NoSuchLease { name: String },
    #[error("no such snapshot: {id}")]
    NoSuchSnapshot { id: u64 },
    #[error("{count} layers are more than the {limit} that this kernel's overlay mounts take")]
    TooManyLayers { count: usize, limit: usize },
    #[error("mount {what} of {layers} layers")]
    Mount { what: &'static str, layers: usize, source: io::Error },
    #[error("{what} in the store's database is not what was put there: {value:?}")]
    Corrupt { what: &'static str, value: String },
}

fn was_resumed(resumed: bool) -> &'static str {
    if resumed { " (a resumed download: start over)" } else { "" }
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Io { source, .. } | Self::Mount { source, .. } => io_kind(source),
            Self::Database(error) => database_kind(error),
            Self::Locked { .. } | Self::IngestBusy { .. } | Self::ImageInUse { .. } => Kind::Conflict,
            Self::NewerFormat { .. } | Self::TooManyLayers { .. } => Kind::Unsupported,
            Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Ambiguous { .. }
            | Self::Incomplete { .. }
            | Self::IncompleteManifest { .. }
            | Self::NoTag { .. } => Kind::InvalidInput,
            Self::NoSuchBlob { .. }
            | Self::NoSuchLayer { .. }
            | Self::NoSuchImage { .. }
            | Self::NoSuchTag { .. }
            | Self::NoSuchLease { .. }
            | Self::NoSuchSnapshot { .. } => Kind::NotFound,
            Self::Corrupt { .. } => Kind::Internal,
        }
    }

    /// Whether the disk (or a quota) is full.
    pub(crate) fn is_full(&self) -> bool {
        self.kind() == Kind::ResourceExhausted
    }
}

fn io_kind(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory => {
            Kind::ResourceExhausted
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Kind::PermissionDenied,
        io::ErrorKind::Unsupported => Kind::Unsupported,
        // EMFILE and ENFILE have no kind of their own.
        _ if matches!(error.raw_os_error(), Some(23 | 24)) => Kind::ResourceExhausted,
        _ => Kind::Internal,
    }
}

/// What to look at where SQLite has no words for what happened.
fn of_disk(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure | ErrorCode::ReadOnly) => {
            " cannot be written; see whether its disk fails or is mounted read-only"
        }
        _ => "",
    }
}

fn database_kind(error: &rusqlite::Error) -> Kind {
    use rusqlite::ErrorCode;
    // The shared memory of the write-ahead log could not grow.
    if error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
        return Kind::ResourceExhausted;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::OutOfMemory) => Kind::ResourceExhausted,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Kind::PermissionDenied,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Unavailable,
        _ => Kind::Internal,
    }
}

/// Gives an I/O error the operation and the path it was about.
pub(crate) trait At<T> {
    fn at(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| Error::Io { doing, path: path.into(), source: source.into() })
    }
}
