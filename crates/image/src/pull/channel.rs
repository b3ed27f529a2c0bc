//! From the network's side to a thread's: pieces of bytes, as they came.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// Pieces on the way. Small, so that a slow disk slows the network down and not the memory up.
const PIECES: usize = 4;

/// A piece, or the end. A channel that closes without it was broken off.
type Item = Option<Bytes>;

/// Where the pieces are put in.
#[derive(Debug)]
pub(super) struct Sender(mpsc::Sender<Item>);

/// Where they come out. For a thread that may block.
#[derive(Debug)]
pub(super) struct Reader {
    receiver: mpsc::Receiver<Item>,
    piece: Bytes,
    ended: bool,
}

pub(super) fn channel() -> (Sender, Reader) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (Sender(sender), Reader { receiver, piece: Bytes::new(), ended: false })
}

impl Sender {
    /// Hands over a piece; `false` when nobody reads any more.
    pub(super) async fn send(&self, piece: Bytes) -> bool {
        self.0.send(Some(piece)).await.is_ok()
    }

    /// Says that this was all.
    pub(super) async fn end(self) {
        self.0.send(None).await.ok();
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Some(piece)) => self.piece = piece,
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, length: usize) {
        self.piece.advance(length.min(self.piece.len()));
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.consume(length);
        Ok(length)
    }
}
