//! Bodies between the event loop and threads that block.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces that wait for whoever is slower.
const PIECES: usize = 8;
/// The length of the pieces that are written.
const PIECE: usize = 128 << 10;

/// How long a client may go on to send what nobody reads.
const GRACE: Duration = Duration::from_secs(5);

/// The body of a request, for a thread that blocks. Ends with an error when the client leaves early.
pub(super) struct Input {
    pieces: Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Input {
    /// Starts to read the body.
    pub(super) fn of(body: Body) -> Self {
        let (sender, pieces) = channel(PIECES);
        tokio::spawn(async move {
            let mut stream = body.into_data_stream();
            while let Some(piece) = stream.next().await {
                let broken = |error| io::Error::new(io::ErrorKind::ConnectionReset, error);
                if sender.send(piece.map_err(broken)).await.is_err() {
                    // Nobody reads any more, and there is an answer. A client that could not send all of it would
                    // see a broken connection in its place.
                    let rest = async { while let Some(Ok(_)) = stream.next().await {} };
                    tokio::time::timeout(GRACE, rest).await.ok();
                    break;
                }
            }
        });
        Self { pieces, rest: Bytes::new() }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// The body of an answer, for a thread that blocks. Writing fails when the client has left.
pub(super) struct Output {
    pieces: Sender<io::Result<Bytes>>,
    buffer: BytesMut,
}

impl Output {
    /// The end that is written, and the one that becomes a body.
    pub(super) fn new() -> (Self, Receiver<io::Result<Bytes>>) {
        let (pieces, receiver) = channel(PIECES);
        (Self { pieces, buffer: BytesMut::with_capacity(PIECE) }, receiver)
    }

    /// Breaks the answer off, so that the client knows that it is not whole.
    pub(super) fn fail(self, message: String) {
        self.pieces.blocking_send(Err(io::Error::other(message))).ok();
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = self.buffer.split().freeze();
        self.pieces.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// The body of these pieces, the first of which is there already.
pub(super) fn body(first: Bytes, pieces: Receiver<io::Result<Bytes>>) -> Body {
    let rest = stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
    Body::from_stream(stream::iter([Ok(first)]).chain(rest))
}
