//! What containers wrote.
//!
//! The monitor of a container writes lines of Docker's `json-file` format into a file that it rotates, whatever the
//! driver: it outlives the daemon, and its work must not depend on anybody who reads. Below the container's data
//! directory:
//!
//! ```text
//! <id>-json.log, .1, .2 …            driver json-file
//! local-logs/container.log, .1 …     driver local, and the copy of what other drivers send away
//! forwarded                          how far that copy has been sent (module `forward`)
//! ```
//!
//! Invariants: a reader takes whole lines only; it never reads a file from its beginning to find its end; who follows
//! is woken by the kernel, and holds one descriptor and no thread while nothing comes.

mod driver;
mod error;
mod files;
mod forward;
mod logs;
mod open;
mod read;
mod record;
mod remote;
mod size;
mod tag;
mod watch;

pub use driver::{Driver, merge, validate, warnings};
pub use error::Error;
pub use forward::Forwards;
pub use logs::{Logs, Pieces};
pub use open::{open, path};
pub use read::{Encode, Query};
pub use record::Line;
