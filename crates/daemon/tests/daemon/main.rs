//! The daemon, asked through its socket. Needs root.

#![recursion_limit = "1024"]
#![expect(clippy::unwrap_used, reason = "a test says so when something fails")]

mod absent;
mod asked;
mod auth;
mod busy;
mod compat;
mod containers;
mod crash;
mod devices;
mod exhaustion;
mod fields;
mod front;
mod hostile;
mod image;
mod life;
mod settings;
mod soak;
mod streams;
mod tls;

/// Says something to whoever reads what a test writes.
fn say(text: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{text}").expect("standard error");
}
