//! The daemon, asked through its socket. Needs root.

mod front;
mod life;
