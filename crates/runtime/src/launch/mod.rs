//! The client of spawner and monitors: what the daemon launches containers through.
//!
//! ```text
//! Launcher ──Launch + fds──▶ spawner ──fork──▶ monitor ──Started{pid} + pidfd──▶ Control
//! Control::connect(directory) finds a monitor again, whoever launched it
//! ```
//!
//! Calls block, in microseconds but for [`Launcher::launch`], [`Control::exec`] and what waits by its
//! nature. A caller with an event loop of its own polls [`Control`]'s descriptor for reading, and
//! calls [`Control::try_next`] then. Neither type starts threads.

mod control;
mod error;
mod input;
mod start;

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

pub use control::{Connection, Control, Event, Exec, connect};
pub use error::{ControlError, LaunchError};
pub use input::Input;

use crate::{
    plan::Plan,
    spawner,
    wire::{self, FdRole, Io, Kind, Launch, LogSink, Reply, Started},
};

/// What a container is launched with, beside its plan.
#[derive(Debug)]
pub struct Request<'a> {
    pub plan: &'a Plan,
    pub io: Io,
    pub log: LogSink,
    /// Whether the monitor removes the cgroup at the end.
    pub remove_cgroup: bool,
    /// What the monitor gets duplicates of: [`FdRole::Directory`] always, others as the fields above
    /// ask for them.
    pub fds: &'a [(FdRole, BorrowedFd<'a>)],
}

/// A container that runs, or waits for its start.
#[derive(Debug)]
pub struct Launched {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// Nanoseconds since the epoch.
    pub started_at: u64,
    /// The connection to its monitor, which tells of its end unasked.
    pub control: Control,
}

/// A way to the host's spawner.
#[derive(Debug)]
pub struct Launcher {
    directory: OwnedFd,
    path: PathBuf,
    binary: PathBuf,
}

impl Launcher {
    /// Takes `directory` (mode 0700, made when absent) as the place of the spawner's socket, and makes
    /// sure that one listens there, started from `binary` if need be.
    pub fn connect_or_start(directory: &Path, binary: &Path) -> Result<Self, LaunchError> {
        let opened = start::open_directory(directory)?;
        let launcher = Self { directory: opened, path: directory.into(), binary: binary.into() };
        launcher.ping()?;
        Ok(launcher)
    }

    /// Asks the spawner for its PID, and starts one where there is none.
    pub fn ping(&self) -> Result<u32, LaunchError> {
        let socket = self.connect()?;
        start::ping(&socket)
    }

    /// Makes a container and returns once its program runs. A spawner that is gone is started anew.
    ///
    /// # Errors
    /// [`LaunchError::Failed`] when the container could not be made; nothing of it is left then.
    pub fn launch(&self, request: &Request<'_>) -> Result<Launched, LaunchError> {
        self.make(request, false)
    }

    /// Makes a container up to its program's exec, which waits for [`Control::start`]; `started_at` is 0.
    /// Should its monitor be killed meanwhile, the init waits on: its cgroup has to be killed.
    ///
    /// # Errors
    /// As for [`Launcher::launch`].
    pub fn create(&self, request: &Request<'_>) -> Result<Launched, LaunchError> {
        self.make(request, true)
    }

    fn make(&self, request: &Request<'_>, hold: bool) -> Result<Launched, LaunchError> {
        let (roles, fds): (Vec<FdRole>, Vec<BorrowedFd<'_>>) = request.fds.iter().copied().unzip();
        let message = Launch {
            plan: request.plan.clone(),
            io: request.io,
            log: request.log.clone(),
            remove_cgroup: request.remove_cgroup,
            hold,
            fds: roles,
        };
        let payload = wire::encode(&message)?;
        let directory = request.fds.iter().find(|(role, _)| *role == FdRole::Directory);
        let (_, directory) = directory.ok_or(LaunchError::NoDirectory)?;
        let directory = directory.try_clone_to_owned().map_err(|source| LaunchError::Duplicate { source })?;
        let socket = self.connect()?;
        wire::send(&socket, Kind::Launch, 1, &payload, &fds)?;
        let Some(mut received) = wire::receive(&socket)? else {
            return Err(LaunchError::MonitorEnded);
        };
        let Kind::Reply = received.kind else {
            return Err(LaunchError::Unexpected { what: format!("{:?}", received.kind) });
        };
        let (pid, started_at) = match wire::decode(&received.payload)? {
            Reply::Started(Started { pid, started_at }) if !hold => (pid, started_at),
            Reply::Created { pid } if hold => (pid, 0),
            Reply::Failed { step, cause, errno } => return Err(LaunchError::Failed { step, cause, errno }),
            Reply::Refused(refusal) => return Err(LaunchError::Refused(refusal)),
            other => return Err(LaunchError::Unexpected { what: format!("{other:?}") }),
        };
        let pidfd = received.fds.pop_front();
        let pidfd = pidfd.ok_or_else(|| LaunchError::Unexpected { what: "no pidfd".into() })?;
        Ok(Launched { pid, pidfd, started_at, control: Control::new(socket, directory) })
    }

    fn connect(&self) -> Result<OwnedFd, LaunchError> {
        match connect_to(self.directory.as_fd(), spawner::SOCKET) {
            Ok(socket) => Ok(socket),
            Err(_) => start::start(self.directory.as_fd(), &self.path, &self.binary),
        }
    }
}

/// Connects to the socket `name` in a directory, by the directory's descriptor: a path through it is
/// never too long for an address.
fn connect_to(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, rustix::io::Errno> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &address(directory, name)?)?;
    Ok(socket)
}

fn address(directory: BorrowedFd<'_>, name: &str) -> Result<SocketAddrUnix, rustix::io::Errno> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
}
