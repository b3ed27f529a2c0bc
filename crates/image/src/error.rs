use std::sync::Arc;

use longshore_types::{DiffId, Digest, Kind, Platform, PlatformError, ReferenceError, oci::DocumentError};

use crate::unpack;

/// What every function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done with an image. Where Docker's clients match on words, these are Docker's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] longshore_store::Error),
    #[error(transparent)]
    Registry(#[from] longshore_registry::Error),
    #[error(transparent)]
    Unpack(#[from] unpack::Error),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error(transparent)]
    Filter(#[from] crate::FilterError),
    #[error(transparent)]
    Change(#[from] crate::changes::Problem),
    #[error(transparent)]
    Tag(#[from] crate::TagError),
    #[error(transparent)]
    Remove(#[from] crate::RemoveError),
    #[error(transparent)]
    Load(#[from] crate::LoadError),
    #[error(transparent)]
    Save(#[from] crate::SaveError),
    #[error(transparent)]
    Import(#[from] crate::ImportError),
    #[error(transparent)]
    Commit(#[from] crate::CommitError),
    #[error(transparent)]
    Archive(#[from] longshore_archive::diff::Error),
    #[error("image {name} is here, but not for {platform}: pull it with this platform")]
    OtherPlatform { name: String, platform: String },
    #[error("open the root of the file system")]
    Root { source: std::io::Error },
    /// What several waited for failed for all of them.
    #[error(transparent)]
    Shared(Arc<Self>),
    #[error("no matching manifest for {platform} in the manifest list entries")]
    NoMatchingManifest { platform: Platform },
    #[error("image index names indexes more than {limit} deep")]
    IndexDepth { limit: usize },
    /// Docker's words.
    #[error("An image does not exist locally with the tag: {name}")]
    NoTagToPush { name: String },
    #[error("tag does not exist: {name}")]
    NoSuchTag { name: String },
    #[error("cannot push a digest reference")]
    PushByDigest,
    #[error("no manifest of {digest} is here: pull the image again, or build it")]
    NoManifest { digest: Digest },
    #[error("blob {digest} is not here and no repository that had it gives it: pull the image again")]
    NoBlob { digest: Digest },
    #[error(
        "{digest} is an index of several platforms, of which {missing} are not here: pull them, or choose one with --platform"
    )]
    IncompleteIndex { digest: Digest, missing: String },
    #[error("make the archive of layer {layer} again")]
    LayerTar { layer: DiffId, source: std::io::Error },
    #[error("statement {digest} is not JSON")]
    Statement { digest: Digest, source: serde_json::Error },
    #[error("cancelled")]
    Cancelled,
    #[error("the process is being shut down")]
    ShuttingDown,
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Registry(error) => error.kind(),
            Self::Unpack(error) => error.kind(),
            Self::Document(error) => error.kind(),
            Self::Reference(error) => error.kind(),
            Self::Platform(error) => error.kind(),
            Self::Filter(error) => error.kind(),
            Self::Change(error) => error.kind(),
            Self::Tag(error) => error.kind(),
            Self::Remove(error) => error.kind(),
            Self::Load(error) => error.kind(),
            Self::Save(error) => error.kind(),
            Self::Import(error) => error.kind(),
            Self::Commit(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::Shared(error) => error.kind(),
            Self::NoMatchingManifest { .. }
            | Self::OtherPlatform { .. }
            | Self::NoTagToPush { .. }
            | Self::NoSuchTag { .. }
            | Self::NoManifest { .. }
            | Self::NoBlob { .. } => Kind::NotFound,
            Self::IncompleteIndex { .. } => Kind::Conflict,
            Self::IndexDepth { .. } | Self::PushByDigest => Kind::InvalidInput,
            Self::LayerTar { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Kind::ResourceExhausted
                }
                _ => Kind::Internal,
            },
            Self::Root { .. } | Self::Statement { .. } => Kind::Internal,
            Self::Cancelled | Self::ShuttingDown => Kind::Unavailable,
        }
    }

    /// The error and its causes in one line, as it is shown to people.
    #[must_use]
    pub fn line(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            next = cause.source();
        }
        text
    }
}
