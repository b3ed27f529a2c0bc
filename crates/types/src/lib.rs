//! The words of Longshore's domain: names, digests, ids, platforms, the documents of an image, and the kinds of
//! error.
//!
//! Everything above uses these and nothing here does I/O. A word is added when two crates need it.

pub mod container;
mod digest;
pub mod filter;
mod id;
mod kind;
mod line;
pub mod network;
pub mod oci;
pub mod platform;
pub mod progress;
pub mod reference;
pub mod time;

pub use digest::{Algorithm, ChainId, DiffId, Digest, DigestError, Hasher, ImageId};
pub use filter::Filters;
pub use id::{ContainerId, ContainerIdError};
pub use kind::Kind;
pub use line::line;
pub use platform::{Matcher, Platform, PlatformError};
pub use progress::{Progress, ProgressEvent, Status};
pub use reference::{Reference, ReferenceError};
pub use time::Timestamp;
