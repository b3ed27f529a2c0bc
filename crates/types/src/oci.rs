//! The documents of an image: descriptor, manifest, index and configuration, of the OCI (image-spec 1.1) and of
//! Docker (schema 2), which have the same shape.
//!
//! Invariants:
//! * A document is named by the digest of the bytes it came in. These types keep unknown fields, so that nothing is
//!   lost when one is changed on purpose, but a document that came from elsewhere is stored as its bytes, never as
//!   something serialised again.
//! * The `read` functions are the only way in for bytes of a stranger. They bound size, depth and counts, and refuse
//!   what two readers could understand differently: a key twice, a key twice but for its case, a manifest that is
//!   also an index, a media type that disagrees with the one it was found under.

mod config;
mod descriptor;
mod error;
mod index;
mod json;
mod manifest;
mod media;
#[cfg(test)]
mod tests;

pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs};
pub use descriptor::Descriptor;
pub use error::{Document, DocumentError};
pub use index::Index;
pub(crate) use json::or_default;
pub use manifest::{Manifest, document_media_type};
pub use media::{ACCEPTED, Compression, MediaKind, media_type};

/// The longest manifest or index, in bytes; registries need not take more (distribution-spec, "Pushing Manifests").
pub const MAX_MANIFEST: usize = 4 << 20;
/// The longest image configuration, in bytes.
pub const MAX_CONFIG: usize = 8 << 20;
/// The most layers of an image.
pub const MAX_LAYERS: usize = 500;
/// The most entries of an index.
pub const MAX_ENTRIES: usize = 1000;
/// How deep indexes may name indexes.
pub const MAX_INDEX_DEPTH: usize = 4;
/// The most bytes of all labels or annotations of one object.
pub const MAX_LABELS: usize = 4 << 20;
