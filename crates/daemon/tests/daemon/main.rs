//! The daemon, asked through its socket. Needs root.

mod absent;
mod compat;
mod front;
mod hostile;
mod life;
mod settings;
mod tls;
