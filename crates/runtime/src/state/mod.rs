//! What the command line remembers of a container between two commands.
//!
//! ```text
//! <root>/            0700; /run/longshore/runtime, or below $XDG_RUNTIME_DIR when rootless
//!   <id>/            0711; made by mkdir, which alone decides who owns the ID
//!     lock           POSIX record lock of whoever changes the container
//!     spec.json      the spec, with the limits of the last `update`; written before state.json
//!     state.json     the `Record`; its presence makes the container exist
//!     notify/        the container's end of `sd_notify(3)`, where somebody listens for it
//!     exec.fifo      init waits here until `start`; gone once the container was started
//! ```
//!
//! Files are replaced by rename and never synced: the tree lives on a tmpfs and dies with the
//! processes that it describes. A reader needs no lock and sees one whole version. The lock is a
//! `fcntl` lock because a forked init must not inherit it: the kernel drops it at the death of the
//! process that took it, so a directory without `state.json` whose lock is free is the remains of a
//! killed `create` ([`Presence::Broken`]). The record is saved once before the first side effect,
//! with the cgroups that are about to be made, and again with the init process: whatever a crash
//! leaves can be found from it.

mod clock;
mod dir;
mod identity;
mod record;
mod status;

pub use clock::now_rfc3339;
pub use dir::{Dir, EXEC_FIFO, Presence, Root, StateError};
pub use identity::{Identity, Liveness};
pub use record::{OciState, Record};
pub use status::Status;

#[cfg(test)]
mod tests;
