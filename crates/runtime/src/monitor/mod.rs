//! The monitor: the parent of one container's init, alive as long as the container is.
//!
//! It is a fork of the spawner, has one thread and one epoll loop. It makes the container, copies
//! its output to the log and to attached clients and their input back, runs exec processes, passes
//! signals and sizes on, reaps (orphans too, as subreaper), and ends with the container. Neither the
//! daemon's end nor the spawner's touches it. In the container's directory:
//!
//! ```text
//! monitor.sock      where clients connect; gone when the monitor is
//! exit.json         ExitRecord as JSON, written and synchronised before anybody is told
//! exec-<id>.json    ExecStatus as JSON, for exec processes that ask for it
//! ```
//!
//! Invariants:
//! * No client can hold the container up beyond the patience that it was attached with, and a
//!   client that misbehaves loses its own connection only. Every queue has a bound ([`limits`]).
//! * Private memory stays below 150 kB while nothing flows: the plan is dropped once the container
//!   runs, buffers are given back when the loop comes to rest.
//! * SIGTERM, SIGINT and SIGHUP to the monitor go to the init.
//!
//! [`limits`]: crate::wire::limits

mod client;
mod container;
mod exec;
mod exit;
mod input;
mod log;
mod output;
mod poll;
mod record;
mod request;
mod running;
mod start;

use std::{error::Error, io, os::fd::OwnedFd};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::{
    cgroup,
    container::CreateError,
    init::StepError,
    wire::{self, Kind, Launch, Refusal, Reply, Started},
};

pub(crate) use {
    poll::{Poll, Token},
    record::EXIT_RECORD,
};

/// The name of the monitor's socket in the container's directory.
pub(crate) const SOCKET: &str = "monitor.sock";

/// Signals that the monitor reads instead of dying of them: those that it passes to the init, and
/// the one of children that ended.
pub(crate) const SIGNALS: [i32; 4] = [SIGCHLD, 1, 2, 15];

pub(crate) const SIGCHLD: i32 = 17;
const SIGKILL: i32 = 9;

/// Runs a monitor for the [`Launch`] that waits on `connection`, in a process that is this function's
/// alone. Returns once the container is gone or could not be made.
pub(crate) fn run(connection: OwnedFd, host: &cgroup::Layout) {
    let received = match wire::receive(&connection) {
        Ok(Some(received)) => received,
        Ok(None) => return,
        Err(error) => return answer(&connection, 0, &malformed(&error)),
    };
    let sequence = received.sequence;
    let launch: Launch = match wire::decode(&received.payload) {
        Ok(launch) => launch,
        Err(error) => return answer(&connection, sequence, &malformed(&error)),
    };
    drop(received.payload);
    match start::start(launch, received.fds, host) {
        Ok((monitor, pidfd)) => monitor.serve(connection, sequence, pidfd),
        Err(reply) => answer(&connection, sequence, &reply),
    }
}

/// Answers a peer that gets one answer; when it has gone nobody is left to tell.
fn answer(connection: &OwnedFd, sequence: u32, reply: &Reply) {
    if let Ok(payload) = wire::encode(reply) {
        wire::send(connection, Kind::Reply, sequence, &payload, &[]).ok();
    }
}

pub(crate) fn malformed(error: &dyn Error) -> Reply {
    Reply::Refused(Refusal::Malformed { reason: longshore_types::line(error) })
}

/// A failure to make a process, as it travels.
fn failure(error: &CreateError) -> Reply {
    let mut at: &dyn Error = error;
    let mut step = error.to_string();
    let mut causes: Vec<String> = Vec::new();
    let mut errno = None;
    while let Some(source) = at.source() {
        if source.is::<StepError>() {
            step = source.to_string();
        } else {
            causes.push(source.to_string());
        }
        if let Some(error) = source.downcast_ref::<io::Error>() {
            errno = error.raw_os_error();
        }
        at = source;
    }
    Reply::Failed { step, cause: causes.join(": "), errno }
}

fn null() -> Result<OwnedFd, Errno> {
    rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}
