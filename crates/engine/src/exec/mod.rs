//! More processes in running containers.
//!
//! An exec is made, started once, and remembered for a while after its end. It lives in memory alone: the process
//! goes on when the daemon is killed, and nobody asks for it by its ID any more.
//!
//! Invariant: what is kept is bounded; who never starts what they make loses the oldest of it.

mod error;
mod registry;
mod start;

use longshore_runtime::spec::ConsoleSize;
use tokio::sync::watch;

pub use error::Error;
pub use registry::Execs;
pub use start::{Ends, How, Prepared, Started};

use crate::{attach::Keys, container::Container};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The program and its arguments.
    pub command: Vec<String>,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
    pub privileged: bool,
    /// `NAME=value`, added to the container's.
    pub env: Vec<String>,
    /// Empty for the container's.
    pub user: String,
    /// Empty for the container's.
    pub working_dir: String,
    /// As they were given; empty for the default.
    pub detach_keys: String,
    pub console_size: Option<ConsoleSize>,
}

/// A process that is to be, is, or was.
#[derive(Debug)]
pub struct Exec {
    pub id: String,
    pub container: Container,
    pub config: Config,
    pub(crate) keys: Keys,
    pub(crate) state: watch::Sender<State>,
    /// Made at the start, or given by who starts the same again and again.
    pub(crate) prepared: std::sync::OnceLock<std::sync::Arc<Prepared>>,
    /// For its size, while it runs.
    pub(crate) terminal: std::sync::Mutex<Option<std::os::fd::OwnedFd>>,
}

/// What an exec does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub running: bool,
    /// Once it has ended, or could not be started.
    pub exit_code: Option<i32>,
    /// Of the process; 0 before its start.
    pub pid: i32,
}

impl Exec {
    /// How it is now.
    #[must_use]
    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// What starting it again would begin from, once it has been started.
    pub(crate) fn prepared(&self) -> Option<std::sync::Arc<Prepared>> {
        self.prepared.get().cloned()
    }

    /// The keys by which a user leaves it.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        let mut watch = self.state.subscribe();
        // The sender is this value's own.
        watch.wait_for(|state| state.exit_code.is_some()).await.ok();
    }

    /// Sets the size of its terminal.
    pub fn resize(&self, size: ConsoleSize) -> Result<(), Error> {
        if !self.state().running {
            return Err(Error::Ended { id: self.id.clone() });
        }
        let terminal = self.terminal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(master) = &*terminal else { return Err(Error::NoTerminal { id: self.id.clone() }) };
        let size =
            rustix::termios::Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(master, size).map_err(|errno| Error::Io {
            id: self.id.clone(),
            operation: "resize",
            source: errno.into(),
        })
    }

    /// As events tell it: `exec_start: sh -c true`.
    pub(crate) fn action(&self, action: &str) -> String {
        // Docker puts a blank between the program and its arguments even where there are none.
        let (program, arguments) = self
            .config
            .command
            .split_first()
            .map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
        format!("{action}: {program} {}", arguments.join(" "))
    }
}
