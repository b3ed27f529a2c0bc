//! Clients that send the head of a request too slowly.
//!
//! A head must be complete within a time from its first byte; the first head, from the connection's begin. A connection
//! between two requests may be idle for ever, as with Docker, and costs no timer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// Says when a head is complete.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads(Arc<AtomicBool>);

impl Heads {
    /// A request is there; its body may take its time.
    pub(super) fn complete(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The request is answered: what comes next is a head.
    pub(super) fn expect(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A connection whose reads fail once a head has taken too long.
#[derive(Debug)]
pub(super) struct Paced<S> {
    inner: S,
    heads: Heads,
    limit: Duration,
    /// While a head is waited for, or on its way.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(inner: S, heads: Heads, limit: Duration) -> Self {
        let deadline = Some(Box::pin(tokio::time::sleep(limit)));
        Self { inner, heads, limit, deadline }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let in_request = this.heads.0.load(Ordering::Relaxed);
        if in_request {
            this.deadline = None;
        }
        if let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the head of a request took too long",
            )));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        if !in_request && this.deadline.is_none() && buf.filled().len() > before {
            this.deadline = Some(Box::pin(tokio::time::sleep_until(Instant::now() + this.limit)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LIMIT: Duration = Duration::from_millis(200);

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(test);
    }

    #[test]
    fn c3_36_a_head_that_trickles_is_given_up() {
        run(async {
            let (ours, mut theirs) = tokio::io::duplex(64);
            let begun = Instant::now();
            let mut paced = Paced::new(ours, Heads::default(), LIMIT);
            let mut count = 0;
            let error = loop {
                theirs.write_all(b"x").await.expect("a byte");
                if let Err(error) = paced.read_u8().await {
                    break error;
                }
                tokio::time::sleep(LIMIT / 20).await;
                count += 1;
            };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(count > 0 && begun.elapsed() >= LIMIT, "{count} bytes in {:?}", begun.elapsed());
        });
    }

    #[test]
    fn c3_36_a_connection_that_sends_nothing_is_given_up() {
        run(async {
            let (ours, _theirs) = tokio::io::duplex(64);
            let error = Paced::new(ours, Heads::default(), LIMIT).read_u8().await.expect_err("nothing came");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn c3_36_bodies_and_idle_connections_may_take_their_time() {
        run(async {
            let heads = Heads::default();
            let (ours, mut theirs) = tokio::io::duplex(64);
            let mut paced = Paced::new(ours, heads.clone(), LIMIT);
            theirs.write_all(b"a").await.expect("a head");
            paced.read_u8().await.expect("a head");
            heads.complete();
            let body = tokio::time::timeout(LIMIT * 2, paced.read_u8()).await;
            assert!(body.is_err(), "it waits for the body");
            heads.expect();
            let idle = tokio::time::timeout(LIMIT * 2, paced.read_u8()).await;
            assert!(idle.is_err(), "it waits for the next request");
            theirs.write_all(b"c").await.expect("the next head");
            paced.read_u8().await.expect("the next head");
            let error = paced.read_u8().await.expect_err("the rest did not come");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }
}
