use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use longshore_sys::{event, pidfd, process};
use rustix::{
    event::epoll::EventFlags,
    io::Errno,
    net::{SocketFlags, sockopt},
};
use std::os::fd::AsFd;

use super::{
    SIGCHLD,
    client::{self, Client, Ended},
    container::Container,
    exec::{Context, Execs},
    exit::Phase,
    input::Input,
    malformed,
    output::Outputs,
    poll::{Poll, Token},
    start::unlisten,
};
use crate::wire::{DropReason, Reply, Started, Target, limits::MAX_CLIENTS};

/// Messages taken from one client before others get their turn.
const TURN: usize = 16;

/// How long nothing has to happen until memory is given back.
const REST: Duration = Duration::from_millis(500);

/// What a monitor is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) poll: Poll,
    pub(super) signals: OwnedFd,
    pub(super) listener: OwnedFd,
    pub(super) directory: OwnedFd,
    pub(super) container: Container,
    pub(super) context: Context,
    pub(super) outputs: Outputs,
    pub(super) input: Input,
    /// Master and slave of the container's terminal.
    pub(super) terminal: Option<(OwnedFd, OwnedFd)>,
    /// The root, where it came as a mount. As long as it is held here, the init's end does not unmount it: an
    /// overlay's unmount writes back the whole file system below it (`ovl_sync_fs` of the kernel) before anybody
    /// hears of the end.
    pub(super) root: Option<OwnedFd>,
}

/// The monitor of a running container.
#[derive(Debug)]
pub(super) struct Monitor {
    pub(super) parts: Parts,
    pub(super) execs: Execs,
    pub(super) clients: Vec<Client>,
    pub(super) phase: Phase,
    next_client: u64,
}

impl Monitor {
    pub(super) fn new(parts: Parts, phase: Phase) -> Self {
        Self { parts, execs: Execs::default(), clients: Vec::new(), phase, next_client: Token::FIRST_CLIENT }
    }

    /// Announces what was made on `connection`, the first client, and serves until all is over.
    pub(super) fn serve(mut self, connection: OwnedFd, sequence: u32, pidfd: OwnedFd) {
        let Container { pid, started_at, .. } = self.parts.container;
        if rustix::io::ioctl_fionbio(&connection, true).is_ok() {
            let mut client = Client::new(self.token(), connection);
            client.waits.push((Target::Init, 0));
            let made = match self.phase {
                Phase::Created(_) => Reply::Created { pid },
                _ => Reply::Started(Started { pid, started_at }),
            };
            client.reply(sequence, &made, vec![pidfd]);
            client.register(&self.parts.poll);
            self.clients.push(client);
        }
        // Only now, since it is not for free: a session is a scheduling group of its own. Fails for a
        // process group's leader alone, which a fork is not.
        rustix::process::setsid().ok();
        process::trim_heap();
        let mut warm = false;
        while !self.is_over(Instant::now()) {
            let mut timeout = self.deadline().map(|at| at.saturating_duration_since(Instant::now()));
            if warm {
                timeout = Some(timeout.map_or(REST, |timeout| timeout.min(REST)));
            }
            let Ok(events) = self.parts.poll.wait(timeout) else { break };
            if events.is_empty() && warm {
                self.parts.outputs.rest();
                process::trim_heap();
            }
            warm = !events.is_empty() || (warm && self.deadline().is_some());
            for (token, flags) in events {
                self.handle(token, flags);
            }
            self.settle();
        }
        unlisten(self.parts.directory.as_fd());
        if self.parts.container.remove_cgroup {
            // Whoever asked for it finds what is left through the container's record.
            self.parts.container.cgroup.remove().ok();
        }
        // Whoever mounts it anew waits until this process has gone.
        drop(self.parts.root.take());
    }

    /// The earliest time at which something has to be done without an event.
    fn deadline(&self) -> Option<Instant> {
        let clients = self.clients.iter().filter_map(Client::deadline);
        clients.chain(self.phase.deadline()).min()
    }

    fn handle(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::SIGNALS => self.read_signals(),
            Token::LISTENER => self.accept(),
            Token::STDOUT | Token::STDERR => self.parts.outputs.pump(token, &mut self.clients),
            Token::INPUT => self.parts.input.flush(&self.parts.poll),
            token => self.serve_client(token, flags),
        }
    }

    /// Brings everything that depends on several of the parts into line after a round of events.
    fn settle(&mut self) {
        let now = Instant::now();
        self.clients.iter_mut().for_each(|client| client.check(now));
        self.clients.retain(|client| !client.is_done(now));
        let blocked = self.parts.input.is_full();
        for client in &mut self.clients {
            client.blocked = client.blocked && blocked;
            client.register(&self.parts.poll);
        }
        let full = self.clients.iter().any(Client::is_full);
        self.parts.outputs.pause(full, &self.parts.poll);
        self.advance(now);
    }

    fn read_signals(&mut self) {
        while let Ok(Some(info)) = event::read_signal(self.parts.signals.as_fd()) {
            if info.signal == SIGCHLD {
                self.reap();
            } else if self.phase.has_init() {
                // It may have ended just now.
                pidfd::send_signal(self.parts.container.pidfd.as_fd(), info.signal).ok();
            }
        }
    }

    fn token(&mut self) -> Token {
        self.next_client += 1;
        Token(self.next_client)
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        loop {
            let socket = match rustix::net::accept_with(&self.parts.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(_) => return,
            };
            let own = rustix::process::geteuid();
            if !sockopt::socket_peercred(&socket).is_ok_and(|peer| peer.uid == own) {
                continue;
            }
            let mut client = Client::new(self.token(), socket);
            if self.clients.len() >= MAX_CLIENTS {
                // The reason fits its empty socket; there is no room to wait until it is read.
                client.dismiss(DropReason::TooManyClients);
                continue;
            }
            client.register(&self.parts.poll);
            self.clients.push(client);
        }
    }

    fn serve_client(&mut self, token: Token, flags: EventFlags) {
        let Some(index) = self.clients.iter().position(|client| client.token == token) else { return };
        if flags.contains(EventFlags::OUT) {
            self.clients[index].flush();
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        for _ in 0..TURN {
            let client = &mut self.clients[index];
            if client.blocked || client.is_leaving() {
                return;
            }
            match client::receive(&client.socket) {
                None => return,
                Some(Ok(received)) => self.message(index, received),
                Some(Err(Ended::Malformed(error))) => {
                    client.reply(0, &malformed(&error), Vec::new());
                    client.dismiss(DropReason::Malformed);
                }
                Some(Err(Ended::Gone)) => {
                    let client = self.clients.swap_remove(index);
                    if client.holds_input() {
                        self.parts.input.client_left(&self.parts.poll);
                    }
                    return;
                }
            }
        }
    }
}
