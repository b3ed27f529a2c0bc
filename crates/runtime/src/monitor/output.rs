use std::{os::fd::OwnedFd, rc::Rc};

use rustix::{event::epoll::EventFlags, io::Errno};

use super::{
    client::Client,
    log::{Log, Stream},
    poll::{Poll, Token},
};
use crate::wire::limits::MAX_DATA;

/// Reads of one stream before others get their turn.
const TURN: usize = 8;

/// Where a stream of the container's output is read from.
#[derive(Debug)]
struct Source {
    stream: Stream,
    token: Token,
    fd: OwnedFd,
}

/// The streams that are still open, and the log that they are recorded in.
#[derive(Debug)]
pub(super) struct Outputs {
    sources: Vec<Source>,
    pub(super) log: Log,
    paused: bool,
    /// Kept from read to read, given back while idle.
    buffer: Vec<u8>,
}

impl Outputs {
    pub(super) fn new(log: Log) -> Self {
        Self { sources: Vec::new(), log, paused: false, buffer: Vec::new() }
    }

    /// Reads `stream` from `fd`, which does not block, from now on.
    pub(super) fn add(&mut self, stream: Stream, fd: OwnedFd, poll: &Poll) -> Result<(), Errno> {
        let token = match stream {
            Stream::Stdout => Token::STDOUT,
            Stream::Stderr => Token::STDERR,
        };
        poll.add(&fd, token, EventFlags::IN)?;
        self.sources.push(Source { stream, token, fd });
        Ok(())
    }

    /// Whether all streams have come to their end.
    pub(super) fn are_finished(&self) -> bool {
        self.sources.is_empty()
    }

    pub(super) fn are_paused(&self) -> bool {
        self.paused
    }

    /// Holds all streams back, or goes on with them.
    pub(super) fn pause(&mut self, pause: bool, poll: &Poll) {
        if pause == self.paused {
            return;
        }
        let (none, input) = (EventFlags::empty(), EventFlags::IN);
        let (from, to) = if pause { (input, none) } else { (none, input) };
        // A source that cannot be waited for is read no more.
        self.sources.retain(|source| poll.change(&source.fd, source.token, from, to).is_ok());
        self.paused = pause;
    }

    /// Copies what there is to the log and to the clients, until one of them is full.
    pub(super) fn pump(&mut self, token: Token, clients: &mut [Client]) {
        let Some(index) = self.sources.iter().position(|source| source.token == token) else { return };
        for _ in 0..TURN {
            match self.read(index) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // A terminal answers EIO once nobody has its other side open.
                Ok(0) | Err(_) => return self.close(index),
                Ok(length) => {
                    self.deliver(index, length, clients);
                    if clients.iter().any(Client::is_full) {
                        return;
                    }
                }
            }
        }
    }

    /// Records what is left without regard for clients, and closes every stream.
    pub(super) fn finish(&mut self) {
        while !self.sources.is_empty() {
            // A writer that is still there could go on for ever: no more than a pipe holds.
            for _ in 0..64 {
                match self.read(0) {
                    Err(Errno::INTR) => {}
                    Ok(0) | Err(_) => break,
                    Ok(length) => self.log.append(self.sources[0].stream, &self.buffer[..length]),
                }
            }
            self.close(0);
        }
    }

    /// Gives the buffer back.
    pub(super) fn rest(&mut self) {
        self.buffer = Vec::new();
    }

    fn read(&mut self, index: usize) -> Result<usize, Errno> {
        self.buffer.resize(MAX_DATA, 0);
        rustix::io::read(&self.sources[index].fd, &mut self.buffer)
    }

    fn deliver(&mut self, index: usize, length: usize, clients: &mut [Client]) {
        let (stream, bytes) = (self.sources[index].stream, &self.buffer[..length]);
        self.log.append(stream, bytes);
        let mut shared: Option<Rc<[u8]>> = None;
        for client in clients {
            client.output(stream, bytes, &mut shared);
        }
    }

    fn close(&mut self, index: usize) {
        let source = self.sources.swap_remove(index);
        self.log.finish(source.stream);
    }
}
