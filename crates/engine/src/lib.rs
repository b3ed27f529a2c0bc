//! Containers and what they need: their life, execs, volumes, networks, logs, events.
//!
//! Services are cheap to clone, and each holds only what it uses; there is no object that has them all. Nothing
//! here knows HTTP or versions of an API: what comes in and goes out are the words of `longshore_types`.
//!
//! # Rules
//!
//! * A container exists if and only if its row in `engine.db` does.
//! * What runs is asked of its monitor, not remembered: the daemon may be killed at any time.
//! * Work that blocks is done on threads that may, never on the event loop's.

pub mod attach;
pub mod changes;
pub mod commit;
pub mod container;
pub mod copy;
pub mod db;
pub mod df;
pub mod etc;
pub mod event;
pub mod exec;
pub mod export;
pub mod health;
pub mod image;
pub mod log;
pub mod monitor;
pub mod network;
mod ready;
pub mod spec;
pub mod stats;
pub mod top;
pub mod volume;

pub use longshore_types::line;
