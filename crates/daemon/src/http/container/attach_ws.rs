//! `GET /containers/{id}/attach/ws`: a client on a container's streams, by a websocket.

use axum::{
    Router,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
    routing::get,
};
use futures_util::{SinkExt, StreamExt};
use longshore_engine::{attach, container::Containers, log::Logs};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{
    super::{error::Failure, query::Query},
    attach::{Asked, Session},
};
use crate::app::App;

/// Bytes on their way between the streams and the websocket.
const BUFFER: usize = 64 << 10;
/// The longest message that is taken.
const MAX_MESSAGE: usize = 1 << 20;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/attach/ws", get(attach))
}

async fn attach(
    State(containers): State<Containers>,
    State(logs): State<Logs>,
    Path(id): Path<String>,
    query: Query,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let asked = Asked::read(&query)?;
    let container = containers.find(&id)?;
    let pending = attach::attach(&container, asked.wanted())?;
    // Both streams come as they are, as with Docker.
    let session = Session { containers, logs, container, asked, framed: false };
    Ok(upgrade.max_message_size(MAX_MESSAGE).on_upgrade(async move |socket| {
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let carried = tokio::spawn(carry(socket, theirs));
        let (mut reader, mut writer) = tokio::io::split(ours);
        session.serve(pending, &mut reader, &mut writer).await;
        drop((reader, writer));
        // It ends with the streams, which have been dropped.
        carried.await.ok();
    }))
}

/// Carries bytes between a websocket and a stream until either ends.
async fn carry(socket: WebSocket, stream: DuplexStream) {
    let (mut sender, mut receiver) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let outgoing = async {
        let mut buffer = vec![0; BUFFER];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            if sender.send(Message::Binary(buffer[..length].to_vec().into())).await.is_err() {
                return;
            }
        }
        // The client may have closed first.
        sender.send(Message::Close(None)).await.ok();
    };
    let incoming = async {
        while let Some(Ok(message)) = receiver.next().await {
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Text(text) => text.into(),
                Message::Ping(_) | Message::Pong(_) => continue,
                Message::Close(_) => break,
            };
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = outgoing => {}
        () = incoming => {}
    }
}
