//! The words of Longshore's domain: ids, digests and the kinds of error.
//!
//! Everything above uses these and nothing here does I/O. A word is added when two crates need it.

mod digest;
mod id;
mod kind;

pub use digest::{Algorithm, ChainId, DiffId, Digest, DigestError, Hasher, ImageId};
pub use id::{ContainerId, ContainerIdError};
pub use kind::Kind;
