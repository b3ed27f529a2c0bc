//! Connections that stop being HTTP: attach, exec.
//!
//! A client that asks to upgrade gets `101 UPGRADED` and its connection becomes the stream. One that does not gets
//! `200 OK`: what it sends in the body of its request goes one way, and the body of the answer is the other way, up to
//! the end of the connection. That one has the version of HTTP 1.0, which has no chunks: clients of Docker read the
//! connection itself.

use std::{
    convert::Infallible,
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, Version, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use hyper::{ext::ReasonPhrase, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

/// Bytes on their way where there is no connection to hold them.
const BUFFER: usize = 64 << 10;

/// A request that may become a stream.
pub(crate) struct Hijack(Option<OnUpgrade>);

impl fmt::Debug for Hijack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hijack").field("upgrades", &self.0.is_some()).finish()
    }
}

/// A stream both ways. Shutting it down ends what the client reads; it may go on to send.
pub(crate) struct Connection(Inner);

enum Inner {
    Upgraded(TokioIo<hyper::upgrade::Upgraded>),
    Bodies(DuplexStream),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl<S: Sync> FromRequestParts<S> for Hijack {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let asks = parts.headers.contains_key(header::UPGRADE);
        Ok(Self(parts.extensions.remove::<OnUpgrade>().filter(|_| asks)))
    }
}

impl Hijack {
    /// Answers, and has `task` serve the stream. `input` is the request's body, where it can be the stream's input:
    /// of a client that does not upgrade.
    pub(crate) fn respond<F, T>(self, media: &'static str, input: Option<Body>, task: F) -> Response
    where
        F: FnOnce(Connection) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let media = (header::CONTENT_TYPE, HeaderValue::from_static(media));
        let Some(upgrade) = self.0 else {
            let (ours, theirs) = tokio::io::duplex(BUFFER);
            tokio::spawn(task(Connection(Inner::Bodies(ours))));
            let mut response = ([media], bodies(theirs, input)).into_response();
            *response.version_mut() = Version::HTTP_10;
            return response;
        };
        tokio::spawn(async move {
            match upgrade.await {
                Ok(upgraded) => task(Connection(Inner::Upgraded(TokioIo::new(upgraded)))).await,
                Err(error) => tracing::debug!(%error, "a client left before its stream began"),
            }
        });
        let upgraded =
            [media, (header::CONNECTION, HeaderValue::from_static("Upgrade")), (header::UPGRADE, tcp())];
        let mut response = (StatusCode::SWITCHING_PROTOCOLS, upgraded).into_response();
        response.extensions_mut().insert(ReasonPhrase::from_static(b"UPGRADED"));
        response
    }
}

fn tcp() -> HeaderValue {
    HeaderValue::from_static("tcp")
}

/// Carries `input` into a stream, and returns what comes out of it.
fn bodies(stream: DuplexStream, input: Option<Body>) -> Body {
    let (output, mut entry) = tokio::io::split(stream);
    tokio::spawn(async move {
        let mut pieces = input.unwrap_or_default().into_data_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            if entry.write_all(&piece).await.is_err() {
                return;
            }
        }
        // It has ended already when nobody reads.
        entry.shutdown().await.ok();
    });
    Body::from_stream(stream::unfold(output, async |mut output| {
        let mut piece = BytesMut::with_capacity(BUFFER);
        match output.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.freeze()), output)),
            Err(error) => Some((Err(error), output)),
        }
    }))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Upgraded(io) => Pin::new(io).poll_read(cx, buf),
            Inner::Bodies(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Inner::Upgraded(io) => Pin::new(io).poll_write(cx, buf),
            Inner::Bodies(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Upgraded(io) => Pin::new(io).poll_flush(cx),
            Inner::Bodies(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Upgraded(io) => Pin::new(io).poll_shutdown(cx),
            Inner::Bodies(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
