//! Accepting connections, and speaking HTTP on them.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, http::StatusCode};
use bytes::Bytes;
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Listener,
    drain::Drained,
    pace::{Heads, Paced},
    stream::Stream,
    turn::{Polite, Turn},
};

/// How long the head of a request, and a TLS handshake, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest head that is read.
const HEAD: usize = 256 << 10;
/// How long to wait when no connection can be accepted.
const RETRY: Duration = Duration::from_millis(50);

/// Serves until `end` says so: no more connections then, and requests under way have `grace` to be answered.
pub(crate) async fn serve(
    listeners: Vec<Listener>,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    mut end: watch::Receiver<bool>,
    grace: Duration,
) -> io::Result<()> {
    let mut accepting = JoinSet::new();
    let connections = Connections { router, end: end.clone(), alive: watch::Sender::new(0) };
    let mut files = Vec::new();
    for listener in listeners {
        let connections = connections.clone();
        match listener {
            Listener::Unix(listener, file) => {
                files.extend(file);
                listener.set_nonblocking(true)?;
                let listener = UnixListener::from_std(listener)?;
                accepting.spawn(async move {
                    loop {
                        match listener.accept().await {
                            Ok((stream, _)) => connections.spawn(Stream::Unix(stream)),
                            Err(error) => cannot_accept(&error).await,
                        }
                    }
                });
            }
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = TcpListener::from_std(listener)?;
                let tls = tls.clone().map(TlsAcceptor::from);
                accepting.spawn(async move {
                    loop {
                        match listener.accept().await {
                            Ok((stream, _)) => connections.spawn_tcp(stream, tls.clone()),
                            Err(error) => cannot_accept(&error).await,
                        }
                    }
                });
            }
        }
    }
    said(&mut end).await;
    drop(files);
    accepting.shutdown().await;
    let mut alive = connections.alive.subscribe();
    drop(connections);
    if tokio::time::timeout(grace, alive.wait_for(|alive| *alive == 0)).await.is_err() {
        tracing::info!(connections = *alive.borrow(), "connections are cut");
    }
    Ok(())
}

/// Returns when the end has been said; the sender lives as long as the daemon.
async fn said(end: &mut watch::Receiver<bool>) {
    end.wait_for(|end| *end).await.ok();
}

/// Out of descriptors, mostly: those that are there will be closed some time.
async fn cannot_accept(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(RETRY).await;
}

#[derive(Clone, Debug)]
struct Connections {
    router: Router,
    end: watch::Receiver<bool>,
    /// How many there are.
    alive: watch::Sender<usize>,
}

/// Counts a connection while it lives.
#[derive(Debug)]
struct Alive(watch::Sender<usize>);

impl Alive {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Connections {
    fn spawn(&self, stream: Stream) {
        let alive = Alive::new(&self.alive);
        tokio::spawn(speak(stream, self.router.clone(), self.end.clone(), alive));
    }

    fn spawn_tcp(&self, stream: tokio::net::TcpStream, tls: Option<TlsAcceptor>) {
        // A connection that is gone fails where it is read.
        stream.set_nodelay(true).ok();
        let Some(tls) = tls else { return self.spawn(Stream::Tcp(stream)) };
        let connections = self.clone();
        tokio::spawn(async move {
            match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                Ok(Ok(stream)) => connections.spawn(Stream::Tls(Box::new(stream))),
                Ok(Err(error)) => tracing::info!(%error, "a TLS client is refused"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        });
    }
}

/// The body of an answer. When it has been sent, the head of a request comes next.
struct Answer {
    body: Body,
    heads: Option<Heads>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(heads) = &self.heads {
            heads.expect();
        }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Speaks HTTP until the client leaves or the daemon ends.
async fn speak(stream: Stream, router: Router, mut end: watch::Receiver<bool>, alive: Alive) {
    let (heads, turn) = (Heads::default(), Turn::default());
    let stream = Polite::new(stream, turn.clone());
    let stream = TokioIo::new(Paced::new(stream, heads.clone(), PATIENCE));
    let service = service_fn(move |request: Request<Incoming>| {
        heads.complete();
        let (router, heads, turn) = (router.clone(), heads.clone(), turn.clone());
        async move {
            let response =
                crate::http::answer(router, request.map(|body| Body::new(Drained::new(body)))).await;
            let is_http = response.status() != StatusCode::SWITCHING_PROTOCOLS;
            if !is_http {
                turn.upgrade();
            }
            Ok::<_, Infallible>(response.map(|body| Answer { body, heads: is_http.then_some(heads) }))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD);
    let connection = http.serve_connection(stream, service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = said(&mut end) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
    drop(alive);
}
