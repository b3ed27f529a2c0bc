//! `POST /exec/{id}/start`: detached, or with its streams on the connection.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequest, Path, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use longshore_api::{
    exec::{Start, console_size},
    stream::{Stream, frame},
};
use longshore_engine::{
    attach::{End, Streams},
    exec::{Ends, Exec, Execs, How},
};
use longshore_runtime::spec::ConsoleSize;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::super::{
    body::Json,
    container::{framed, media},
    error::Failure,
    hijack::{Connection, Hijack},
    version::Requested,
};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/exec/{id}/start", post(start))
}

async fn start(
    State(execs): State<Execs>,
    Path(id): Path<String>,
    Requested(version): Requested,
    hijack: Hijack,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let Json(asked) = Json::<Start>::from_request(request, &()).await?;
    let exec = execs.find(&id)?;
    let size = console_size(asked.console_size, version).filter(|_| asked.tty.unwrap_or_default());
    let console_size = size.map(|[height, width]| ConsoleSize { height, width });
    let detached = asked.detach.unwrap_or_default();
    let how = How { detached, console_size };
    if detached {
        execs.start(&exec, how).await?;
        return Ok(StatusCode::OK.into_response());
    }
    execs.startable(&exec)?;
    // What the client says of a terminal decides how it is spoken to.
    let tty = asked.tty.unwrap_or_default();
    let media = media(tty, version, &headers);
    Ok(hijack.respond(media, None, async move |connection| serve(execs, exec, how, tty, connection).await))
}

async fn serve(execs: Execs, exec: Arc<Exec>, how: How, tty: bool, connection: Connection) {
    let (mut reader, mut writer) = tokio::io::split(connection);
    match execs.start(&exec, how).await {
        Ok(started) => {
            if let Some(streams) = started.streams {
                copy(&execs, exec, streams, tty, (&mut reader, &mut writer)).await;
            }
        }
        Err(error) => {
            let text = format!("{}\r\n", longshore_engine::line(&error));
            say(&mut writer, tty, &text).await;
        }
    }
    // The client may have gone.
    writer.shutdown().await.ok();
}

async fn copy(
    execs: &Execs,
    exec: Arc<Exec>,
    streams: Streams,
    tty: bool,
    (reader, writer): (&mut (impl tokio::io::AsyncRead + Unpin), &mut (impl AsyncWrite + Unpin)),
) {
    let keys = exec.config.tty.then(|| exec.keys());
    let ends = Ends(Arc::clone(&exec));
    let end = tokio::select! {
        end = streams.copy(keys, reader, writer, framed(!tty)) => end,
        () = ends.overdue() => End::Output,
    };
    match end {
        // Whoever asks next is to find the exit code.
        End::Output => exec.ended().await,
        End::Detached => execs.detached(&exec),
        End::Client => {}
    }
}

/// Tells why there are no streams, where the output would be.
async fn say(writer: &mut (impl AsyncWrite + Unpin), tty: bool, text: &str) {
    let bytes = if tty { text.as_bytes().to_vec() } else { frame(Stream::Stdout, text.as_bytes()).to_vec() };
    // The client may have gone.
    writer.write_all(&bytes).await.ok();
}
