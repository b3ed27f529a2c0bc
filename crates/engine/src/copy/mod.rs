//! `docker cp`: files out of containers and into them.
//!
//! Everything is done by descriptor below the container's root, which belongs to whoever made the container: paths are
//! resolved by the kernel with that root as `/`, what was found is opened once and used by its descriptor, and no
//! program or library of the container is loaded. A process in the container that exchanges names meanwhile changes
//! which of *its* files are copied, and nothing else.

mod error;
mod into;
mod out;
mod owner;
mod path;
mod place;

pub use error::Error;
pub use into::{Target, Unpack};
pub use out::{PathStat, Source};

/// What copying may return.
pub type Result<T> = std::result::Result<T, Error>;
