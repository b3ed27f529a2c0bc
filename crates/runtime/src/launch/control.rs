use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use super::{ControlError, Input, connect_to};
use crate::{
    monitor,
    plan::ProcessPlan,
    seccomp::Filter,
    spec::ConsoleSize,
    wire::{
        self, Attach, DropReason, ExecStatus, ExitRecord, FdRole, Kind, Reply, Request, RunExec, Started,
        Status, Target, WireError, limits::MAX_DATA,
    },
};

/// What becomes of looking for a container's monitor.
#[derive(Debug)]
pub enum Connection {
    Running(Control),
    /// The container has ended, and this is how.
    Ended(ExitRecord),
    /// Nobody answers and nothing is on record: the monitor was killed, or there never was one.
    Lost,
}

/// A connection to a container's monitor.
#[derive(Debug)]
pub struct Control {
    socket: OwnedFd,
    /// The container's, for what is on record once the monitor has gone.
    directory: OwnedFd,
    sequence: u32,
    /// What came while an answer was waited for.
    events: VecDeque<Event>,
    /// The container's end, once heard.
    ended: Option<ExitRecord>,
}

/// What a monitor tells of itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    Exited(ExitRecord),
    ExecExited(ExecStatus),
    /// The monitor ends this connection.
    Dropped(DropReason),
}

/// An exec process that has begun to run.
#[derive(Debug)]
pub struct Exec {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// The master of its terminal, where its plan has one.
    pub console: Option<OwnedFd>,
}

/// Looks for the monitor of the container in `directory`.
pub fn connect(directory: BorrowedFd<'_>) -> Result<Connection, ControlError> {
    match Control::connect(directory) {
        Ok(control) => return Ok(Connection::Running(control)),
        Err(ControlError::Gone) => {}
        Err(error) => return Err(error),
    }
    Ok(recorded(directory)?.map_or(Connection::Lost, Connection::Ended))
}

/// The exit record in a container's directory.
fn recorded(directory: BorrowedFd<'_>) -> Result<Option<ExitRecord>, ControlError> {
    let path = format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), monitor::EXIT_RECORD);
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| ControlError::Record { source: error.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ControlError::Record { source }),
    }
}

impl Control {
    pub(super) fn new(socket: OwnedFd, directory: OwnedFd) -> Self {
        Self { socket, directory, sequence: 1, events: VecDeque::new(), ended: None }
    }

    /// Connects to the monitor of the container in `directory`. [`ControlError::Gone`] when none
    /// listens.
    pub fn connect(directory: BorrowedFd<'_>) -> Result<Self, ControlError> {
        use rustix::io::Errno;
        match connect_to(directory, monitor::SOCKET) {
            Ok(socket) => {
                let directory = directory.try_clone_to_owned();
                Ok(Self::new(socket, directory.map_err(|source| ControlError::Connect { source })?))
            }
            Err(Errno::NOENT | Errno::CONNREFUSED) => Err(ControlError::Gone),
            Err(errno) => Err(ControlError::Connect { source: errno.into() }),
        }
    }

    /// Has output sent here from now on, and the container's end after it.
    pub fn attach(&mut self, attach: Attach) -> Result<(), ControlError> {
        self.done(&Request::Attach(attach))
    }

    /// Lets the program of a container that [`super::Launcher::create`] made run, and returns once it
    /// does.
    ///
    /// # Errors
    /// [`ControlError::Failed`] when it could not be executed; the container ends then, which is told as
    /// every end is.
    pub fn start(&mut self) -> Result<Started, ControlError> {
        match self.request(&Request::Start, &[])? {
            (Reply::Started(started), _) => Ok(started),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Stops all processes of the container, and returns once they are stopped.
    pub fn pause(&mut self) -> Result<(), ControlError> {
        self.done(&Request::Pause)
    }

    /// Lets a paused container go on.
    pub fn resume(&mut self) -> Result<(), ControlError> {
        self.done(&Request::Resume)
    }

    /// Sends bytes to the init's standard input; blocks while the container does not read them.
    pub fn input(&mut self, bytes: &[u8]) -> Result<(), ControlError> {
        for chunk in bytes.chunks(MAX_DATA) {
            self.send(Kind::Input, 0, chunk, &[])?;
        }
        Ok(())
    }

    /// Ends the init's standard input after what was sent.
    pub fn close_input(&mut self) -> Result<(), ControlError> {
        self.done(&Request::CloseInput)
    }

    /// Sets the size of the init's terminal.
    pub fn resize(&mut self, size: ConsoleSize) -> Result<(), ControlError> {
        self.done(&Request::Resize(size))
    }

    /// Sends a signal by number.
    pub fn signal(&mut self, target: Target, signal: i32) -> Result<(), ControlError> {
        self.done(&Request::Signal { target, signal })
    }

    /// Asks how the container is.
    pub fn status(&mut self) -> Result<Status, ControlError> {
        match self.request(&Request::Status, &[])? {
            (Reply::Status(status), _) => Ok(*status),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Waits for the init's end, which is on disk by then. Told even when the monitor has gone.
    ///
    /// # Errors
    /// [`ControlError::Gone`] when the monitor was killed: there is no record then.
    pub fn wait(&mut self) -> Result<ExitRecord, ControlError> {
        if let Some(record) = &self.ended {
            return Ok(record.clone());
        }
        match self.request(&Request::Wait(Target::Init), &[]) {
            Ok((Reply::Exited(record), _)) => Ok(record),
            Ok((other, _)) => Err(unexpected(&other)),
            Err(ControlError::Gone) => recorded(self.directory.as_fd())?.ok_or(ControlError::Gone),
            Err(error) => Err(error),
        }
    }

    /// Waits for the end of an exec process, one of the last that ended included.
    pub fn wait_exec(&mut self, id: &str) -> Result<ExecStatus, ControlError> {
        match self.request(&Request::Wait(Target::Exec(id.into())), &[])? {
            (Reply::ExecExited(status), _) => Ok(status),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Starts another process in the container and returns once its program runs. Its end comes
    /// as [`Event::ExecExited`].
    pub fn exec(
        &mut self,
        id: &str,
        process: &ProcessPlan,
        seccomp: Option<&Filter>,
        record: bool,
        fds: &[(FdRole, BorrowedFd<'_>)],
    ) -> Result<Exec, ControlError> {
        let (roles, fds): (Vec<FdRole>, Vec<BorrowedFd<'_>>) = fds.iter().copied().unzip();
        let (process, seccomp) = (process.clone(), seccomp.cloned());
        let request = RunExec { id: id.into(), process, seccomp, record, fds: roles };
        match self.request(&Request::Exec(Box::new(request)), &fds)? {
            (Reply::Started(Started { pid, .. }), mut fds) => {
                let pidfd = fds.pop_front();
                let pidfd = pidfd.ok_or_else(|| ControlError::Unexpected { what: "no pidfd".into() })?;
                Ok(Exec { pid, pidfd, console: fds.pop_front() })
            }
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Waits for what the monitor tells next.
    pub fn next_event(&mut self) -> Result<Event, ControlError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let received = wire::receive(&self.socket).map_err(gone)?.ok_or(ControlError::Gone)?;
            self.take(received)?;
        }
    }

    /// What the monitor has told, `None` when that is nothing for now. For a socket that was made
    /// non-blocking, after which only this may be called.
    pub fn try_next(&mut self) -> Result<Option<Event>, ControlError> {
        match self.next_event() {
            Ok(event) => Ok(Some(event)),
            Err(ControlError::Wire(error)) if error.would_block() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Another way to the same connection, to send the init's input by. With it `self` does not block any
    /// more: only [`Control::try_next`] may be called then.
    pub fn split_input(&self) -> Result<Input, ControlError> {
        let split = || {
            let socket = rustix::io::fcntl_dupfd_cloexec(&self.socket, 3)?;
            rustix::io::ioctl_fionbio(&socket, true)?;
            Ok(Input { socket })
        };
        split().map_err(|errno: rustix::io::Errno| ControlError::Connect { source: errno.into() })
    }

    /// Makes the connection non-blocking: only [`Control::try_next`] may be called then.
    pub fn set_nonblocking(&self) -> Result<(), ControlError> {
        rustix::io::ioctl_fionbio(&self.socket, true)
            .map_err(|errno| ControlError::Connect { source: errno.into() })
    }

    fn done(&mut self, request: &Request) -> Result<(), ControlError> {
        match self.request(request, &[])? {
            (Reply::Done, _) => Ok(()),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Sends a request and waits for the reply to it; what else comes is kept.
    fn request(
        &mut self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Reply, VecDeque<OwnedFd>), ControlError> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let sequence = self.sequence;
        self.send(Kind::Request, sequence, &wire::encode(request)?, fds)?;
        loop {
            let received = wire::receive(&self.socket).map_err(gone)?.ok_or(ControlError::Gone)?;
            if received.kind != Kind::Reply || received.sequence != sequence {
                self.take(received)?;
                continue;
            }
            return match wire::decode(&received.payload)? {
                Reply::Refused(refusal) => Err(ControlError::Refused(refusal)),
                Reply::Failed { step, cause, errno } => Err(ControlError::Failed { step, cause, errno }),
                reply => Ok((reply, received.fds)),
            };
        }
    }

    fn send(
        &self,
        kind: Kind,
        sequence: u32,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), ControlError> {
        wire::send(&self.socket, kind, sequence, payload, fds).map_err(gone)
    }

    /// Keeps what was not asked for.
    fn take(&mut self, received: wire::Received) -> Result<(), ControlError> {
        let event = match received.kind {
            Kind::Stdout => Event::Stdout(received.payload),
            Kind::Stderr => Event::Stderr(received.payload),
            Kind::Reply => match wire::decode(&received.payload)? {
                Reply::Exited(record) => {
                    self.ended = Some(record.clone());
                    Event::Exited(record)
                }
                Reply::ExecExited(status) => Event::ExecExited(status),
                Reply::Dropped(reason) => Event::Dropped(reason),
                Reply::Refused(refusal) => return Err(ControlError::Refused(refusal)),
                // The answer to what an [`Input`] sent.
                Reply::Done => return Ok(()),
                other => return Err(unexpected(&other)),
            },
            kind => return Err(ControlError::Unexpected { what: format!("{kind:?}") }),
        };
        self.events.push_back(event);
        Ok(())
    }
}

impl AsRawFd for Control {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn unexpected(reply: &Reply) -> ControlError {
    match reply {
        Reply::Dropped(reason) => ControlError::Dropped(*reason),
        other => ControlError::Unexpected { what: format!("{other:?}") },
    }
}

/// A monitor that ends takes its side of the connection with it.
pub(super) fn gone(error: WireError) -> ControlError {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    match &error {
        WireError::Io { source, .. } if matches!(source.kind(), BrokenPipe | ConnectionReset) => {
            ControlError::Gone
        }
        _ => ControlError::Wire(error),
    }
}
