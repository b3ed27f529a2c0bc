use std::os::fd::OwnedFd;

use rustix::{event::epoll::EventFlags, io::Errno};

use super::poll::{Poll, Token};
use crate::wire::limits::MAX_PENDING_INPUT;

/// The way to the init's standard input: a pipe, or the terminal.
#[derive(Debug)]
pub(super) struct Input {
    fd: Option<OwnedFd>,
    /// The same descriptor leads to the terminal, which has no end of its own.
    terminal: bool,
    /// Ends with the first attached client that leaves.
    once: bool,
    /// Taken from clients and not yet by the container.
    pending: Vec<u8>,
    /// Ends once `pending` is written.
    ending: bool,
    registered: EventFlags,
}

impl Input {
    pub(super) fn new(fd: Option<OwnedFd>, terminal: bool, once: bool) -> Self {
        let registered = EventFlags::empty();
        Self { fd, terminal, once, pending: Vec::new(), ending: false, registered }
    }

    pub(super) fn is_open(&self) -> bool {
        self.fd.is_some() && !self.ending
    }

    /// Whether as much waits as may.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= MAX_PENDING_INPUT
    }

    /// Takes `bytes` for the container; they are lost when it reads no more.
    pub(super) fn push(&mut self, bytes: &[u8], poll: &Poll) {
        if self.is_open() {
            self.pending.extend_from_slice(bytes);
            self.flush(poll);
        }
    }

    /// Ends it after what was taken. A terminal does not end: the client sends what means that.
    pub(super) fn end(&mut self, poll: &Poll) {
        if !self.terminal {
            self.ending = true;
            self.flush(poll);
        }
    }

    /// An attached client has left.
    pub(super) fn client_left(&mut self, poll: &Poll) {
        if self.once {
            self.end(poll);
        }
    }

    /// Writes what the container takes.
    pub(super) fn flush(&mut self, poll: &Poll) {
        let Some(fd) = &self.fd else { return };
        let mut written = 0;
        let closed = loop {
            if written == self.pending.len() {
                break self.ending;
            }
            match rustix::io::write(fd, &self.pending[written..]) {
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break false,
                // Nobody reads it any more.
                Err(_) => break true,
            }
        };
        self.pending.drain(..written);
        let wanted = if closed || self.pending.is_empty() { EventFlags::empty() } else { EventFlags::OUT };
        let registered = poll.change(fd, Token::INPUT, self.registered, wanted);
        self.registered = wanted;
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        if closed || registered.is_err() {
            self.pending = Vec::new();
            self.fd = None;
        }
    }
}
