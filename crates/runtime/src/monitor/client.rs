use std::{
    collections::VecDeque,
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use rustix::event::epoll::EventFlags;

use super::{
    log::Stream,
    poll::{Poll, Token},
};
use crate::wire::{
    self, Attach, DropReason, Kind, Outgoing, Reply, Target, WireError,
    limits::{DEFAULT_CLIENT_BUFFER, MAX_CLIENT_BUFFER},
};

/// Replies that a client may leave unread, in bytes.
const MAX_REPLIES: usize = 1 << 20;

/// How long a client that was told to go may take to read it.
const PARTING: Duration = Duration::from_secs(2);

/// One connection. Nothing that its peer does or leaves undone touches another client.
///
/// What the socket does not take is queued. An attached client whose queue is over its buffer is
/// *full*: output stops then for at most its patience.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) token: Token,
    pub(super) socket: OwnedFd,
    queue: VecDeque<Outgoing>,
    /// Bytes in `queue`.
    queued: usize,
    attached: Option<Attached>,
    /// Exits to tell of, and the sequence of who asked.
    pub(super) waits: Vec<(Target, u32)>,
    full_since: Option<Instant>,
    /// The peer takes nothing any more; what it sent before still counts.
    deaf: bool,
    /// Input is not taken for now.
    pub(super) blocked: bool,
    /// Told to go: closed once that is sent, or then.
    leaves_at: Option<Instant>,
    registered: EventFlags,
}

#[derive(Clone, Copy, Debug)]
struct Attached {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    buffer: usize,
    /// For ever when absent.
    patience: Option<Duration>,
}

impl Client {
    pub(super) fn new(token: Token, socket: OwnedFd) -> Self {
        Self {
            token,
            socket,
            queue: VecDeque::new(),
            queued: 0,
            attached: None,
            waits: Vec::new(),
            full_since: None,
            deaf: false,
            blocked: false,
            leaves_at: None,
            registered: EventFlags::empty(),
        }
    }

    pub(super) fn attach(&mut self, attach: Attach) {
        let buffer = match attach.buffer as usize {
            0 => DEFAULT_CLIENT_BUFFER,
            buffer => buffer.min(MAX_CLIENT_BUFFER),
        };
        let patience = (attach.patience != u32::MAX).then(|| Duration::from_millis(attach.patience.into()));
        let Attach { stdin, stdout, stderr, .. } = attach;
        self.attached = Some(Attached { stdin, stdout, stderr, buffer, patience });
    }

    /// Whether its leaving may end the container's standard input.
    pub(super) fn holds_input(&self) -> bool {
        self.attached.is_some_and(|attached| attached.stdin)
    }

    /// Hands it output that it is attached to. `shared` is the same bytes for all clients
    /// that cannot take them at once.
    pub(super) fn output(&mut self, stream: Stream, bytes: &[u8], shared: &mut Option<Rc<[u8]>>) {
        let wanted = self.attached.is_some_and(|attached| match stream {
            Stream::Stdout => attached.stdout,
            Stream::Stderr => attached.stderr,
        });
        if !wanted || self.deaf || self.leaves_at.is_some() {
            return;
        }
        let kind = match stream {
            Stream::Stdout => Kind::Stdout,
            Stream::Stderr => Kind::Stderr,
        };
        if self.queue.is_empty() {
            match wire::send(&self.socket, kind, 0, bytes, &[]) {
                Ok(()) => return,
                Err(error) if error.would_block() => {}
                Err(_) => return self.deafen(),
            }
        }
        let shared = Rc::clone(shared.get_or_insert_with(|| Rc::from(bytes)));
        match Outgoing::new(kind, 0, shared, Vec::new()) {
            Ok(message) => self.enqueue(message),
            Err(_) => self.deafen(),
        }
    }

    /// Answers it.
    pub(super) fn reply(&mut self, sequence: u32, reply: &Reply, fds: Vec<OwnedFd>) {
        let message =
            wire::encode(reply).and_then(|payload| Outgoing::new(Kind::Reply, sequence, payload.into(), fds));
        let Ok(message) = message else { return self.deafen() };
        self.enqueue(message);
        self.flush();
        if self.attached.is_none() && self.queued > MAX_REPLIES {
            self.dismiss(DropReason::Unread);
        }
    }

    /// Tells it to go. Nothing else is sent to it or taken from it.
    pub(super) fn dismiss(&mut self, reason: DropReason) {
        if self.leaves_at.is_some() {
            return;
        }
        self.queue.clear();
        self.queued = 0;
        self.full_since = None;
        self.attached = None;
        self.waits.clear();
        self.reply(0, &Reply::Dropped(reason), Vec::new());
        self.leaves_at = Some(Instant::now() + PARTING);
    }

    /// Sends what is queued as far as the socket takes it.
    pub(super) fn flush(&mut self) {
        while let Some(message) = self.queue.front() {
            match message.send(&self.socket) {
                Ok(()) => {
                    self.queued -= message.size();
                    self.queue.pop_front();
                }
                Err(error) if error.would_block() => break,
                Err(_) => return self.deafen(),
            }
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        if self.attached.is_none_or(|attached| self.queued <= attached.buffer / 2) {
            self.full_since = None;
        }
    }

    /// Whether output has to wait for it.
    pub(super) fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    /// Whether nothing more is to be sent to it.
    pub(super) fn is_served(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether it may keep the monitor waiting for ever.
    pub(super) fn is_trusted(&self) -> bool {
        self.attached.is_some_and(|attached| attached.patience.is_none())
    }

    /// Whether it is to be closed now.
    pub(super) fn is_done(&self, now: Instant) -> bool {
        self.leaves_at.is_some_and(|leaves_at| self.queue.is_empty() || leaves_at <= now)
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaves_at.is_some()
    }

    /// When something has to be done about it whatever it does.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let patience = self.attached.and_then(|attached| attached.patience);
        let full_until = self.full_since.zip(patience).map(|(since, patience)| since + patience);
        self.leaves_at.into_iter().chain(full_until).min()
    }

    /// Dismisses it if its patience is over.
    pub(super) fn check(&mut self, now: Instant) {
        if !self.is_leaving() && self.deadline().is_some_and(|deadline| deadline <= now) {
            self.dismiss(DropReason::TooSlow);
        }
    }

    /// Asks the kernel for exactly the events that can be acted on.
    pub(super) fn register(&mut self, poll: &Poll) {
        let mut wanted = EventFlags::empty();
        wanted.set(EventFlags::IN, !self.blocked && !self.is_leaving());
        wanted.set(EventFlags::OUT, !self.queue.is_empty());
        match poll.change(&self.socket, self.token, self.registered, wanted) {
            Ok(()) => self.registered = wanted,
            // No memory for the registration: this client cannot be served.
            Err(_) => self.leaves_at = Some(Instant::now()),
        }
    }

    fn enqueue(&mut self, message: Outgoing) {
        if self.deaf {
            return;
        }
        self.queued += message.size();
        self.queue.push_back(message);
        if self.attached.is_some_and(|attached| self.queued > attached.buffer) {
            self.full_since.get_or_insert_with(Instant::now);
        }
    }

    fn deafen(&mut self) {
        self.deaf = true;
        self.queue = VecDeque::new();
        self.queued = 0;
        self.full_since = None;
    }
}

/// Receives the next message of a client; `None` when there is none for now.
pub(super) fn receive(socket: &OwnedFd) -> Option<Result<wire::Received, Ended>> {
    match wire::receive(socket) {
        Ok(Some(received)) => Some(Ok(received)),
        Ok(None) => Some(Err(Ended::Gone)),
        Err(error) if error.would_block() => None,
        Err(WireError::Io { .. }) => Some(Err(Ended::Gone)),
        Err(error) => Some(Err(Ended::Malformed(error))),
    }
}

/// Why no more is taken from a client.
#[derive(Debug)]
pub(super) enum Ended {
    Gone,
    Malformed(WireError),
}
