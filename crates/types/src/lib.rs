//! The words of Longshore's domain: ids and the kinds of error.
//!
//! Everything above uses these and nothing here does I/O. A word is added when two crates need it.

mod id;
mod kind;

pub use id::{ContainerId, ContainerIdError};
pub use kind::Kind;
