//! HTTP/2, as a registry behind a modern front speaks it: chosen by ALPN, one connection for everything, and streams
//! and connections that break.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, Version, header};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use longshore_types::oci::{Descriptor, media_type};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::{
    image::noise,
    scene::download,
    tls::{app, client, tls, trust},
};

/// How a blob's body comes, the first times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    /// The stream is reset after its half.
    Stream,
    /// The connection is closed after its half.
    Connection,
}

struct State {
    manifest: Vec<u8>,
    blob: Vec<u8>,
    breaks: Mutex<Vec<Break>>,
    connections: AtomicUsize,
    seen: Mutex<Vec<(Version, String)>>,
}

/// A registry that speaks nothing but HTTP/2; ends with the value.
struct Server {
    state: Arc<State>,
    host: String,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(breaks: &[Break]) -> Self {
        let mut tls = tls("server", false);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("reg.test:{}", listener.local_addr().unwrap().port());
        let state = Arc::new(State {
            manifest: br#"{"schemaVersion":2,"config":{"mediaType":"x","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}"#.to_vec(),
            blob: noise(3, 5_000_000),
            breaks: Mutex::new(breaks.to_vec()),
            connections: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let all = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, acceptor) = (Arc::clone(&all), acceptor.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    state.connections.fetch_add(1, Ordering::SeqCst);
                    let end = Arc::new(Notify::new());
                    let ended = Arc::clone(&end);
                    let service = service_fn(move |request| {
                        let (state, end) = (Arc::clone(&state), Arc::clone(&end));
                        async move { Ok::<_, Infallible>(answer(&state, &request, end)) }
                    });
                    let serving = http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service);
                    tokio::select! {
                        _ = serving => {}
                        () = ended.notified() => {}
                    }
                });
            }
        });
        Self { state, host, task }
    }

    fn seen(&self) -> Vec<(Version, String)> {
        self.state.seen.lock().unwrap().clone()
    }
}

type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

fn answer(state: &State, request: &Request<Incoming>, end: Arc<Notify>) -> Reply {
    let range = request.headers().get(header::RANGE).map(|value| value.to_str().unwrap().to_owned());
    let what = format!("{} {} {}", request.method(), request.uri().path(), range.as_deref().unwrap_or("-"));
    state.seen.lock().unwrap().push((request.version(), what));
    if request.uri().path().contains("/manifests/") {
        let reply = Response::builder().header(header::CONTENT_TYPE, media_type::OCI_MANIFEST);
        return reply.body(body(vec![Ok(state.manifest.clone())], None)).unwrap();
    }
    let from: usize = range
        .map_or(0, |range| range.trim_start_matches("bytes=").split('-').next().unwrap().parse().unwrap());
    let size = state.blob.len();
    let rest = state.blob[from..].to_vec();
    let mut reply = Response::builder().header(header::CONTENT_LENGTH, rest.len());
    if from > 0 {
        reply = reply.status(206).header(header::CONTENT_RANGE, format!("bytes {from}-{}/{size}", size - 1));
    }
    let mut breaks = state.breaks.lock().unwrap();
    let broken = if breaks.is_empty() { None } else { Some(breaks.remove(0)) };
    let half = rest[..rest.len() / 2].to_vec();
    let body = match broken {
        None => body(vec![Ok(rest)], None),
        Some(Break::Stream) => body(vec![Ok(half), Err(io::Error::other("broken on purpose"))], None),
        Some(Break::Connection) => body(vec![Ok(half)], Some(end)),
    };
    reply.body(body).unwrap()
}

/// A body of these pieces; with `end`, of what closes the connection behind them.
fn body(pieces: Vec<io::Result<Vec<u8>>>, end: Option<Arc<Notify>>) -> UnsyncBoxBody<Bytes, io::Error> {
    let state = (pieces.into_iter(), end);
    let frames = stream::unfold(state, |(mut pieces, end)| async move {
        match (pieces.next(), &end) {
            (Some(piece), _) => Some((piece.map(|piece| Frame::data(piece.into())), (pieces, end))),
            (None, Some(notify)) => {
                notify.notify_one();
                std::future::pending().await
            }
            (None, None) => None,
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Downloads the blob from a server with these breaks.
async fn fetch(breaks: &[Break]) -> Server {
    let server = Server::start(breaks).await;
    let dir = tempfile::tempdir().unwrap();
    trust(dir.path(), &server.host);
    let repository = app(&client(dir.path()), &server.host);
    assert_eq!(repository.resolve("latest").await.unwrap().bytes, server.state.manifest);
    let descriptor = Descriptor::of(media_type::OCI_LAYER_GZIP, &server.state.blob);
    assert_eq!(download(&repository, &descriptor, 0).await.unwrap(), server.state.blob);
    let seen = server.seen();
    assert!(seen.iter().all(|(version, _)| *version == Version::HTTP_2), "{seen:?}");
    server
}

#[tokio::test]
async fn one_connection_serves_everything() {
    let server = fetch(&[]).await;
    assert_eq!(server.state.connections.load(Ordering::SeqCst), 1);
    assert_eq!(server.seen().len(), 2, "{:?}", server.seen());
}

#[tokio::test]
async fn a_stream_that_is_reset_is_asked_for_again() {
    let server = fetch(&[Break::Stream, Break::Stream]).await;
    assert_eq!(server.state.connections.load(Ordering::SeqCst), 1);
    // What lay unread in the stream may be gone with it, so how far the next one begins is not said.
    let seen = server.seen();
    assert_eq!(seen.iter().filter(|(_, what)| what.contains("/blobs/")).count(), 3, "{seen:?}");
}

#[tokio::test]
async fn a_connection_that_closes_is_made_again() {
    let server = fetch(&[Break::Connection]).await;
    assert_eq!(server.state.connections.load(Ordering::SeqCst), 2);
}
