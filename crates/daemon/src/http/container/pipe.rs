//! Between bodies, which come and go on the event loop, and work that blocks.

use std::{
    io::{self, BufWriter, Read, Write},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    http::StatusCode,
};
use bytes::{Buf, Bytes};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::http::error::Failure;

/// Pieces on their way.
const PIECES: usize = 8;
/// Bytes of a piece of a download.
const PIECE: usize = 128 << 10;
/// What is read of an upload that failed, so that its sender reads the answer: as Go's server.
const DRAINED: usize = 256 << 10;
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// Does work that blocks, and waits for it.
pub(crate) async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|_| ended())?.map_err(Into::into)
}

fn ended() -> Failure {
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the work ended before it was done")
}

/// A body that is what `work` writes. Where the work fails the body breaks off, which is all that can be said by then;
/// where the caller goes away, writing fails.
pub(crate) fn download<E>(work: impl FnOnce(&mut BufWriter<Outlet>) -> Result<(), E> + Send + 'static) -> Body
where
    E: std::error::Error + Send + Sync + 'static,
{
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let end = sender.clone();
        let mut out = BufWriter::with_capacity(PIECE, Outlet(sender));
        let done = work(&mut out).map_err(io::Error::other);
        if let Err(error) = done.and_then(|()| out.flush()) {
            // Nobody may be there to hear it.
            end.blocking_send(Err(error)).ok();
        }
        // What is buffered after an error goes nowhere.
        drop(out.into_parts());
    });
    let pieces = stream::unfold(receiver, |mut receiver| async {
        let piece: io::Result<Bytes> = receiver.recv().await?;
        Some((piece, receiver))
    });
    Body::from_stream(pieces)
}

/// The writing end of a download.
#[derive(Debug)]
pub(crate) struct Outlet(mpsc::Sender<io::Result<Bytes>>);

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives a body to work that blocks, and waits for it.
pub(crate) async fn upload<T, E>(
    body: Body,
    work: impl FnOnce(Inlet) -> Result<T, E> + Send + 'static,
) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(PIECES);
    let mut worker = tokio::task::spawn_blocking(move || work(Inlet { receiver, piece: Bytes::new() }));
    let mut pieces = body.into_data_stream();
    loop {
        tokio::select! {
            done = &mut worker => {
                tokio::time::timeout(DRAIN_TIME, drain(&mut pieces)).await.ok();
                return done.map_err(|_| ended())?.map_err(Into::into);
            }
            piece = pieces.next() => {
                let Some(piece) = piece else { break };
                // Where nobody takes it the work is done, as the next round sees.
                sender.send(piece.map_err(io::Error::other)).await.ok();
            }
        }
    }
    drop(sender);
    worker.await.map_err(|_| ended())?.map_err(Into::into)
}

async fn drain(pieces: &mut BodyDataStream) {
    let mut left = DRAINED;
    while let Some(Ok(piece)) = pieces.next().await {
        match left.checked_sub(piece.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// The reading end of an upload.
#[derive(Debug)]
pub(crate) struct Inlet {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Inlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
