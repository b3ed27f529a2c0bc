//! A few buffers that go round between two threads.

use std::{
    io::{self, BufRead, Read},
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
};

/// A buffer and how much of it is filled; or that no more comes because it failed.
type Item = Option<(Vec<u8>, usize)>;

/// The side that fills.
#[derive(Debug)]
pub(super) struct Buffers {
    full: SyncSender<Item>,
    back: Receiver<Vec<u8>>,
    /// How many more may be made.
    unmade: usize,
    size: usize,
}

/// The side that reads.
#[derive(Debug)]
pub(super) struct Pieces {
    full: Receiver<Item>,
    back: Sender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
    length: usize,
}

/// A pipe of at most `count` buffers of `size` bytes, which are made when they are needed.
pub(super) fn new(count: usize, size: usize) -> (Buffers, Pieces) {
    let (full, filled) = sync_channel(count);
    let (back, returned) = channel();
    let buffers = Buffers { full, back: returned, unmade: count, size };
    (buffers, Pieces { full: filled, back, current: Vec::new(), at: 0, length: 0 })
}

impl Buffers {
    /// A buffer to fill; `None` when the reader is gone.
    pub(super) fn empty(&mut self) -> Option<Vec<u8>> {
        if let Ok(buffer) = self.back.try_recv() {
            return Some(buffer);
        }
        if self.unmade > 0 {
            self.unmade -= 1;
            return Some(vec![0; self.size]);
        }
        self.back.recv().ok()
    }

    /// Hands over a filled one; `false` when the reader is gone.
    pub(super) fn send(&self, buffer: Vec<u8>, length: usize) -> bool {
        self.full.send(Some((buffer, length))).is_ok()
    }

    /// Says that what was sent is not all.
    pub(super) fn fail(&self) {
        self.full.send(None).ok();
    }
}

impl Pieces {
    /// Skips what is there; `false` at the end.
    pub(super) fn skip(&mut self) -> bool {
        let Ok(piece) = self.fill_buf() else { return false };
        let length = piece.len();
        self.consume(length);
        length > 0
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.length {
            let empty = std::mem::take(&mut self.current);
            if !empty.is_empty() {
                // The other side may have come to its end.
                self.back.send(empty).ok();
            }
            (self.at, self.length) = (0, 0);
            match self.full.recv() {
                Ok(Some((buffer, length))) => (self.current, self.length) = (buffer, length),
                Ok(None) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(_) => {}
            }
        }
        Ok(&self.current[self.at..self.length])
    }

    fn consume(&mut self, length: usize) {
        self.at = (self.at + length).min(self.length);
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.consume(length);
        Ok(length)
    }
}
