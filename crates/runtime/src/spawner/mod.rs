//! The spawner: one small process per host whose only work is to fork a monitor per container.
//!
//! It listens on a `SOCK_SEQPACKET` socket, `spawner.sock` in a directory of mode 0700. From a
//! connection it looks at no more than the next message's header. For a [`Kind::Launch`] it forks, and
//! the child reads the message and keeps the connection for the container's life; so no descriptor of
//! a container and nothing that a client says ever is in the spawner, and its pages stay few.
//!
//! Invariants: one thread; runs from a copy of its program that nobody can write to, which all that
//! it forks inherit; serves its own user only; ends a connection that says anything else.

use std::{
    ffi::CStr,
    os::fd::{AsFd, OwnedFd},
};

use longshore_sys::{
    clone::{Cloned, clone3},
    event, process,
};
use rustix::{
    event::epoll::EventFlags,
    io::Errno,
    net::{SocketFlags, sockopt},
    process::{WaitOptions, wait},
};

use crate::{
    cgroup,
    monitor::{self, Poll, SIGCHLD, Token},
    wire::{self, Kind, Refusal, Reply, VERSION, WireError, limits::MAX_PENDING},
};

/// The socket's name in the state directory.
pub const SOCKET: &str = "spawner.sock";

const NAME: &CStr = c"ls-spawner";

/// Why the spawner cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SpawnerError {
    #[error("cannot {operation}")]
    Setup { operation: &'static str, source: std::io::Error },
    #[error("cannot find the cgroup hierarchies")]
    Cgroup(#[from] cgroup::CgroupError),
    #[error("cannot wait for clients")]
    Wait { source: std::io::Error },
}

/// A connection that has not sent its request yet.
#[derive(Debug)]
struct Pending {
    token: Token,
    socket: OwnedFd,
}

/// Serves on `listener` until killed. Returns in forks alone, once the monitor's work is done, for
/// the caller to exit.
///
/// # Errors
/// When it cannot be set up, or the kernel refuses to wait.
pub fn run(listener: OwnedFd) -> Result<(), SpawnerError> {
    let setup = |operation| move |source: std::io::Error| SpawnerError::Setup { operation, source };
    let errno = |operation| move |errno: Errno| setup(operation)(errno.into());
    process::set_name(NAME).map_err(setup("set the process's name"))?;
    process::close_on_exec_from(3).map_err(setup("mark descriptors"))?;
    rustix::io::ioctl_fionbio(&listener, true).map_err(errno("make the socket non-blocking"))?;
    event::block_signals(&[SIGCHLD]).map_err(setup("block SIGCHLD"))?;
    let signals = event::signalfd(&[SIGCHLD]).map_err(setup("open a signalfd"))?;
    let poll = Poll::new().map_err(errno("make an event loop"))?;
    poll.add(&signals, Token::SIGNALS, EventFlags::IN).map_err(errno("watch signals"))?;
    poll.add(&listener, Token::LISTENER, EventFlags::IN).map_err(errno("watch the socket"))?;
    // Taken once: a hierarchy that is mounted later is none that containers are placed in.
    let host = cgroup::Layout::detect()?;
    process::trim_heap();
    let mut spawner = Spawner { poll, listener, signals, pending: Vec::new(), next: Token::FIRST_CLIENT };
    loop {
        let events = spawner.poll.wait(None).map_err(|errno| SpawnerError::Wait { source: errno.into() })?;
        for (token, _) in events {
            match token {
                Token::SIGNALS => spawner.reap(),
                Token::LISTENER => spawner.accept(),
                token => {
                    if let Some(connection) = spawner.look(token) {
                        // Nothing of the spawner's is the monitor's.
                        drop(spawner);
                        monitor::run(connection, &host);
                        return Ok(());
                    }
                }
            }
        }
    }
}

#[derive(Debug)]
struct Spawner {
    poll: Poll,
    listener: OwnedFd,
    signals: OwnedFd,
    pending: Vec<Pending>,
    next: u64,
}

impl Spawner {
    /// Monitors that have ended are nobody's concern: what they have to say is on disk.
    fn reap(&mut self) {
        while let Ok(Some(_)) = event::read_signal(self.signals.as_fd()) {}
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        loop {
            let socket = match rustix::net::accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(_) => return,
            };
            let own = rustix::process::geteuid();
            if !sockopt::socket_peercred(&socket).is_ok_and(|peer| peer.uid == own) {
                continue;
            }
            if self.pending.len() >= MAX_PENDING {
                // The oldest has had its time.
                self.pending.remove(0);
            }
            self.next += 1;
            let token = Token(self.next);
            if self.poll.add(&socket, token, EventFlags::IN).is_ok() {
                self.pending.push(Pending { token, socket });
            }
        }
    }

    /// Looks at what the connection has sent. Returns it in the fork that is to serve it.
    fn look(&mut self, token: Token) -> Option<OwnedFd> {
        let index = self.pending.iter().position(|pending| pending.token == token)?;
        let socket = &self.pending[index].socket;
        let header = match wire::peek_header(socket) {
            Ok(Some(header)) => header,
            Err(error) if error.would_block() => return None,
            Ok(None) => {
                self.pending.swap_remove(index);
                return None;
            }
            Err(error) => {
                let refusal = match error {
                    WireError::UnknownVersion { .. } => Refusal::Version { ours: VERSION },
                    error => Refusal::Malformed { reason: error.to_string() },
                };
                answer(socket, 0, &Reply::Refused(refusal));
                self.dismiss(index);
                return None;
            }
        };
        match header.kind {
            Kind::Launch => {
                let Pending { socket, .. } = self.pending.swap_remove(index);
                // Closing it here would not end the registration: the child has it open too, and
                // until the child has read the message every wait would return at once.
                self.poll.change(&socket, token, EventFlags::IN, EventFlags::empty()).ok()?;
                self.fork(socket, header.sequence)
            }
            Kind::Ping => {
                let pid = rustix::process::getpid().as_raw_nonzero().get().cast_unsigned();
                match wire::receive(socket) {
                    Ok(Some(_)) => answer(socket, header.sequence, &Reply::Pong { pid, version: VERSION }),
                    _ => drop(self.pending.swap_remove(index)),
                }
                None
            }
            kind => {
                let reason = format!("the spawner takes no {kind:?}");
                answer(socket, header.sequence, &Reply::Refused(Refusal::Malformed { reason }));
                self.dismiss(index);
                None
            }
        }
    }

    /// Ends a connection that was told why.
    fn dismiss(&mut self, index: usize) {
        let Pending { socket, .. } = self.pending.swap_remove(index);
        // A message that stays unread would reach the peer as an error, before the answer.
        wire::receive(&socket).ok();
    }

    fn fork(&mut self, socket: OwnedFd, sequence: u32) -> Option<OwnedFd> {
        match clone3(0, None) {
            Ok(Cloned::Child) => {
                // The monitor waits for its one request.
                rustix::io::ioctl_fionbio(&socket, false).ok()?;
                Some(socket)
            }
            Ok(Cloned::Parent { .. }) => None,
            Err(error) => {
                let (cause, errno) = (error.to_string(), error.raw_os_error());
                answer(&socket, sequence, &Reply::Failed { step: "fork a monitor".into(), cause, errno });
                None
            }
        }
    }
}

/// Answers as far as the socket takes it at once: an empty one does.
fn answer(socket: &OwnedFd, sequence: u32, reply: &Reply) {
    if let Ok(payload) = wire::encode(reply) {
        wire::send(socket, Kind::Reply, sequence, &payload, &[]).ok();
    }
}
