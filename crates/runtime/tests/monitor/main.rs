//! Spawner, monitor and the client of both, against the real program and real containers. Needs root.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says so when something fails, and prints figures"
)]

mod bed;
mod exec;
mod held;
mod life;
mod limits;
mod pause;
mod streams;
