use std::fmt;

use crate::Kind;

/// Which document an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    Manifest,
    Index,
    Config,
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::Index => "image index",
            Self::Config => "image config",
        })
    }
}

/// Why a document is not taken. What is repeated of the document is short and has no control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("{document} has {len} bytes, more than {limit}")]
    TooLong { document: Document, len: usize, limit: usize },
    #[error("{document} is not valid: {message}")]
    Json { document: Document, message: String },
    #[error("{document} is not valid: {field}: {message}")]
    Field { document: Document, field: String, message: String },
    #[error("{document} has the key {key:?} twice in one object")]
    DuplicateKey { document: Document, key: String },
    #[error("{document} has both layers and manifests: it would mean two things under one digest")]
    Ambiguous { document: Document },
    #[error("{document} says it is {found:?}, but was found as {expected:?}")]
    MediaType { document: Document, expected: String, found: String },
    #[error("{document} has no mediaType, which {expected:?} must have")]
    NoMediaType { document: Document, expected: String },
    #[error(
        "{media_type:?} is not supported: the image was pushed in Docker's schema 1, which is obsolete; \
         push it again with a current tool"
    )]
    Schema1 { media_type: String },
    #[error("media type {media_type:?} is not a known {document}")]
    UnknownMediaType { document: Document, media_type: String },
    #[error("{document} has {count} {what}, more than {limit}")]
    TooMany { document: Document, what: &'static str, count: usize, limit: usize },
    #[error("not a container image: its {part} has the media type {media_type:?}")]
    NotAnImage { part: &'static str, media_type: String },
    #[error("image has {layers} layers but its config names {diff_ids}")]
    LayerCount { layers: usize, diff_ids: usize },
}

impl DocumentError {
    /// A document that asks for something that is gone is unsupported; all others are wrong.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Schema1 { .. } | Self::NotAnImage { .. } => Kind::Unsupported,
            Self::TooLong { .. }
            | Self::Json { .. }
            | Self::Field { .. }
            | Self::DuplicateKey { .. }
            | Self::Ambiguous { .. }
            | Self::MediaType { .. }
            | Self::NoMediaType { .. }
            | Self::UnknownMediaType { .. }
            | Self::TooMany { .. }
            | Self::LayerCount { .. } => Kind::InvalidInput,
        }
    }
}

/// How much of a document an error repeats, in characters.
const SHOWN: usize = 150;

/// A piece of a stranger's text, fit for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}
