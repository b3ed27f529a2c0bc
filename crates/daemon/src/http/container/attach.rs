//! `POST /containers/{id}/attach`: a client on a container's streams.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{HeaderMap, header},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use longshore_api::{
    Version,
    stream::{self, MULTIPLEXED, RAW},
};
use longshore_engine::{
    attach::{self, Channel, End, Keys, Wanted},
    container::{Container, Containers},
    log::{Logs, Query as LogQuery},
};
use longshore_types::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::{error::Failure, hijack::Hijack, query::Query, version::Requested};
use super::logs::{Form, encode};
use crate::app::App;

/// How long a client may stay after the end of its streams, and the bytes that it may send meanwhile.
const LINGER: Duration = Duration::from_secs(60);
const LINGERING: usize = 256 << 10;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/attach", post(attach))
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    wanted: Wanted,
    /// What was written before, first.
    logs: bool,
    /// What comes.
    stream: bool,
    keys: Keys,
}

impl Asked {
    pub(super) fn read(query: &Query) -> Result<Self, Failure> {
        let flag = |name| query.flag(name);
        let wanted = Wanted { stdin: flag("stdin"), stdout: flag("stdout"), stderr: flag("stderr") };
        let keys = Keys::parse(query.text("detachKeys").unwrap_or_default())?;
        Ok(Self { wanted, logs: flag("logs"), stream: flag("stream"), keys })
    }

    pub(super) fn wanted(&self) -> Wanted {
        self.wanted
    }
}

async fn attach(
    State(containers): State<Containers>,
    State(logs): State<Logs>,
    Path(id): Path<String>,
    query: Query,
    Requested(version): Requested,
    hijack: Hijack,
    request: Request,
) -> Result<Response, Failure> {
    let asked = Asked::read(&query)?;
    let container = containers.find(&id)?;
    // Its place is taken before the client hears that it may start the container.
    let pending = attach::attach(&container, asked.wanted)?;
    let tty = container.record().config.tty;
    let media = media(tty, version, request.headers());
    let session = Session { containers, logs, container, asked, framed: !tty };
    Ok(hijack.respond(media, Some(request.into_body()), async move |connection| {
        let (mut reader, mut writer) = tokio::io::split(connection);
        session.serve(pending, &mut reader, &mut writer).await;
        tokio::time::timeout(LINGER, linger(&mut reader)).await.ok();
    }))
}

/// Reads what a client still sends until it leaves: closing on unread input would take the last output from it.
async fn linger(reader: &mut (impl AsyncRead + Unpin)) {
    let mut piece = [0; 4096];
    let mut left = LINGERING;
    while left > 0 {
        match reader.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => left = left.saturating_sub(length),
        }
    }
}

/// The type of a stream. Only who upgrades is told of frames, and not by old versions.
pub(in super::super) fn media(tty: bool, version: Version, headers: &HeaderMap) -> &'static str {
    let knows = version >= Version(42) && headers.contains_key(header::UPGRADE);
    if knows && !tty { MULTIPLEXED } else { RAW }
}

/// Output as it is sent: in frames where there is no terminal.
pub(in super::super) fn framed(framed: bool) -> impl Fn(Channel, Bytes) -> Bytes {
    move |channel, bytes| if framed { stream::frame(kind(channel), &bytes) } else { bytes }
}

/// A channel, on the wire.
pub(super) fn kind(channel: Channel) -> stream::Stream {
    match channel {
        Channel::Stdout => stream::Stream::Stdout,
        Channel::Stderr => stream::Stream::Stderr,
    }
}

/// A client and its container.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) containers: Containers,
    pub(super) logs: Logs,
    pub(super) container: Container,
    pub(super) asked: Asked,
    pub(super) framed: bool,
}

impl Session {
    /// Serves the client to the end.
    pub(super) async fn serve(
        self,
        pending: attach::Pending,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) {
        if self.asked.stream {
            self.container.publish(self.containers.events(), "attach", []);
            if self.asked.logs && !self.container.record().state.phase.has_processes() {
                self.history(writer, None).await;
            }
            // It fails when the container is not started, or is gone: whoever waits for its end hears of that.
            let Ok(streams) = pending.connect().await else { return };
            if self.asked.logs {
                // What is written from now on comes from the monitor.
                self.history(writer, Some(Timestamp::now())).await;
            }
            let keys = self.container.record().config.tty.then_some(self.asked.keys);
            let end = streams.copy(keys, reader, writer, framed(self.framed)).await;
            if end == End::Detached {
                self.container.publish(self.containers.events(), "detach", []);
            }
        } else if self.asked.logs {
            drop(pending);
            self.history(writer, None).await;
        }
        // The client may have gone.
        writer.shutdown().await.ok();
    }

    /// Sends what was written until a time.
    async fn history(&self, writer: &mut (impl AsyncWrite + Unpin), until: Option<Timestamp>) {
        let Wanted { stdout, stderr, .. } = self.asked.wanted;
        let query = LogQuery { stdout, stderr, until, ..LogQuery::default() };
        let form = Form { framed: self.framed, ..Form::default() };
        // A log that cannot be read has nothing to send, and says so where it is asked for itself.
        let Ok(mut pieces) = self.logs.read(&self.container, query, encode(form)).await else { return };
        while let Some(Ok(piece)) = pieces.next().await {
            if writer.write_all(&piece).await.is_err() {
                return;
            }
        }
    }
}
