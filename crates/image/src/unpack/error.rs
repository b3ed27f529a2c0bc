use std::io;

use longshore_archive::{apply, compress::Compression};
use longshore_types::{DiffId, Kind};

/// Why a layer could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("layer {layer} did not come whole")]
    Source { layer: String, source: io::Error },
    #[error("layer {layer}: write what came to the store")]
    Keep { layer: String, source: io::Error },
    #[error("layer {layer} cannot be read")]
    Read { layer: String, source: io::Error },
    #[error("layer {layer} cannot be unpacked")]
    Apply { layer: String, source: apply::Error },
    #[error("layer {layer} is {found}, but its media type is {media_type:?}")]
    MediaType { layer: String, media_type: String, found: Compression },
    #[error("layer {layer} unpacks to {found}, but the image's configuration says {expected}")]
    DiffId { layer: String, expected: DiffId, found: DiffId },
    #[error(transparent)]
    Store(#[from] longshore_store::Error),
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Source { source, .. } => match source.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Kind::InvalidInput,
                _ => Kind::Unavailable,
            },
            Self::Keep { source, .. } | Self::Read { source, .. } => match source.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Kind::InvalidInput,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory => {
                    Kind::ResourceExhausted
                }
                _ => Kind::Internal,
            },
            Self::Apply { source, .. } => source.kind(),
            Self::MediaType { .. } | Self::DiffId { .. } => Kind::InvalidInput,
            Self::Store(error) => error.kind(),
        }
    }

    /// Whether the bytes are to blame, and not the machine.
    pub(super) fn is_of_content(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Apply { .. } | Self::MediaType { .. })
            && self.kind() == Kind::InvalidInput
    }
}
