//! What goes in and out of containers: attach, exec, logs, health checks.

#![expect(clippy::unwrap_used, reason = "a test says so when something fails")]

mod attach;
pub(crate) mod bed;
mod drivers;
mod exec;
mod followers;
mod health;
mod hostile;
mod logs;
