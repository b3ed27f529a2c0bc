//! The daemon, asked through its socket. Needs root.

#![expect(clippy::unwrap_used, reason = "a test says so when something fails")]

mod front;
mod life;
