//! The daemon, asked through its socket. Needs root.

#![recursion_limit = "1024"]
#![expect(clippy::unwrap_used, reason = "a test says so when something fails")]

mod absent;
mod auth;
mod compat;
mod containers;
mod front;
mod hostile;
mod image;
mod life;
mod settings;
mod streams;
mod tls;
