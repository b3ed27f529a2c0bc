//! Connections that stop being HTTP: whose turn it is to speak.
//!
//! A client may read the head of the answer through a buffer, and go on with the connection itself: whatever came
//! right behind the head is lost to it, as with Docker's client for Python. So what follows the head of an upgrade
//! waits until the client has read that head, for a moment.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::stream::Stream;

/// How long a client may take to read the head before the rest comes all the same.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(1);

const HTTP: u8 = 0;
/// The head of the upgrade is written next.
const HEAD: u8 = 1;
/// It has been written.
const WAIT: u8 = 2;

/// Says when a connection stops being HTTP.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<AtomicU8>);

impl Turn {
    /// The answer that is written next is the last one.
    pub(super) fn upgrade(&self) {
        self.0.store(HEAD, Ordering::Relaxed);
    }
}

/// A connection that lets its client read the head of an upgrade first.
#[derive(Debug)]
pub(super) struct Polite {
    inner: Stream,
    turn: Turn,
    /// When the head was written, and the next look.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Polite {
    pub(super) fn new(inner: Stream, turn: Turn) -> Self {
        Self { inner, turn, waiting: None }
    }

    /// Whether something may be written now.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.turn.0.load(Ordering::Relaxed) {
            HTTP => return Poll::Ready(()),
            HEAD => {
                self.turn.0.store(WAIT, Ordering::Relaxed);
                return Poll::Ready(());
            }
            _ => {}
        }
        let (since, pause) =
            self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(PAUSE))));
        while self.inner.unread() > 0 && since.elapsed() < PATIENCE {
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            pause.as_mut().reset(Instant::now() + PAUSE);
        }
        self.turn.0.store(HTTP, Ordering::Relaxed);
        self.waiting = None;
        Poll::Ready(())
    }
}

impl AsyncRead for Polite {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Polite {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_turn(cx));
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_turn(cx));
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
