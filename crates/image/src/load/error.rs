use std::io;

use longshore_archive::tar;
use longshore_types::{Digest, Kind, ReferenceError};

/// Why an archive was not loaded. Names of the archive are shortened and have no control characters.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("read the archive")]
    Read(#[source] io::Error),
    #[error(transparent)]
    Tar(#[from] tar::Error),
    #[error("write {name} of the archive to the store")]
    Spool { name: String, source: io::Error },
    #[error(
        "not an archive of images: it has neither manifest.json nor oci-layout with index.json \
         (a root file system is for import)"
    )]
    NoImages,
    #[error("the archive has the name {name:?}, which leads out of it")]
    Name { name: String },
    #[error("the archive has {name:?} twice")]
    Twice { name: String },
    #[error("{name:?} of the archive has {found} bytes, more than {limit}")]
    TooLong { name: String, found: u64, limit: u64 },
    #[error("the archive has more than {limit} {what}")]
    TooMany { what: &'static str, limit: u64 },
    #[error("{by} of the archive names {name:?}, which is not in it")]
    Missing { by: &'static str, name: String },
    #[error("{name:?} of the archive is a link that leads {wrong}")]
    Link { name: String, wrong: &'static str },
    #[error("{name:?} of the archive is a sparse file")]
    Sparse { name: String },
    #[error("{name} of the archive is not valid")]
    Json { name: &'static str, source: serde_json::Error },
    #[error("{name:?} of the archive hashes to {found}, which is not its name")]
    Digest { name: String, found: Digest },
    #[error("blob {digest} of the archive has {found} bytes, {expected} were announced")]
    Size { digest: Digest, expected: u64, found: u64 },
    #[error("image {image} of the archive has {layers} layers but its config names {diff_ids}")]
    LayerCount { image: Digest, layers: usize, diff_ids: usize },
    #[error("the archive gives {name} to two images")]
    TagTwice { name: String },
    #[error("{name:?} of the archive is no name with a tag")]
    Tag { name: String, source: Option<ReferenceError> },
    #[error("index {digest} of the archive is nested deeper than {limit}")]
    Depth { digest: Digest, limit: usize },
}

impl LoadError {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Read(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Kind::InvalidInput,
                io::ErrorKind::TimedOut => Kind::Timeout,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Kind::Unavailable,
                _ => Kind::Internal,
            },
            Self::Spool { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::ResourceExhausted,
                _ => Kind::Internal,
            },
            Self::Tar(error) => error.kind(),
            Self::NoImages
            | Self::Name { .. }
            | Self::Twice { .. }
            | Self::TooLong { .. }
            | Self::TooMany { .. }
            | Self::Missing { .. }
            | Self::Link { .. }
            | Self::Sparse { .. }
            | Self::Json { .. }
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::LayerCount { .. }
            | Self::TagTwice { .. }
            | Self::Tag { .. }
            | Self::Depth { .. } => Kind::InvalidInput,
        }
    }
}

/// A name of the archive, fit for a message.
pub(super) fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(200).collect()
}
