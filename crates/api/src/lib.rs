//! The Engine API on the wire.
//!
//! The newest version's form of containers is in `longshore_types::container`; here are the other documents, what
//! differs between versions, and the codecs of streams.

pub mod archive;
pub mod container;
pub mod df;
pub mod error;
pub mod event;
pub mod exec;
pub mod image;
pub mod lenient;
pub mod network;
pub mod operation;
pub mod progress;
pub mod stats;
pub mod stream;
pub mod system;
pub mod version;
pub mod volume;

pub use error::ErrorResponse;
pub use version::Version;
