use std::{fmt, sync::Arc, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{
    Breakable,
    http::{Connection, Request},
};

/// A reply.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    /// With a `content-length` unless one is here, or a `transfer-encoding`.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// A reply without headers.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// The same with a header more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Replaces a header.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.unset(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Removes a header.
    pub fn unset(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Close,
    Reset,
    /// It does not: nothing more comes until the other side gives up.
    Stall,
}

/// What goes wrong.
#[derive(Clone)]
pub enum Fault {
    /// This is the reply.
    Reply(Reply),
    /// The right reply, changed.
    Alter(Arc<dyn Fn(&mut Reply) + Send + Sync>),
    /// Head and so many bytes of the body, then the end.
    Cut { after: usize, end: End },
    /// The body comes one byte at a time.
    Trickle { every: Duration },
    /// No reply at all, until the other side gives up.
    Silence,
    /// These bytes and nothing else; then the connection is closed.
    Raw(Vec<u8>),
    /// These bytes, and these for ever.
    Endless { head: Vec<u8>, repeated: Vec<u8> },
    /// So many bytes of the request's body are read, and kept; then the connection is reset.
    CutRequest { after: usize },
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reply(_) => "Reply",
            Self::Alter(_) => "Alter",
            Self::Cut { .. } => "Cut",
            Self::Trickle { .. } => "Trickle",
            Self::Silence => "Silence",
            Self::Raw(_) => "Raw",
            Self::Endless { .. } => "Endless",
            Self::CutRequest { .. } => "CutRequest",
        })
    }
}

impl Fault {
    /// The right reply, changed by `change`.
    pub fn alter(change: impl Fn(&mut Reply) + Send + Sync + 'static) -> Self {
        Self::Alter(Arc::new(change))
    }

    /// A reply of this status and body.
    pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Reply(Reply::new(status, body))
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::Reply(Reply::new(status, "").with("location", to))
    }
}

/// Writes a reply, or what a fault makes of it; false when the connection is over.
pub(super) async fn deliver<S: AsyncRead + AsyncWrite + Unpin + Breakable>(
    connection: &mut Connection<S>,
    request: &Request,
    mut reply: Reply,
    fault: Option<Fault>,
) -> bool {
    let is_head = request.seen.method == "HEAD";
    match &fault {
        Some(Fault::Reply(other)) => reply = other.clone(),
        Some(Fault::Alter(change)) => change(&mut reply),
        Some(Fault::CutRequest { .. }) => {
            connection.stream.reset();
            return false;
        }
        Some(Fault::Silence) => {
            connection.closed().await;
            return false;
        }
        Some(Fault::Raw(bytes)) => {
            if connection.stream.write_all(bytes).await.is_ok() {
                drop(connection.stream.shutdown().await);
            }
            return false;
        }
        Some(Fault::Endless { head, repeated }) => {
            let mut written = connection.stream.write_all(head).await;
            while written.is_ok() {
                written = connection.stream.write_all(repeated).await;
            }
            return false;
        }
        _ => {}
    }
    let head = head(&reply, is_head);
    if connection.stream.write_all(head.as_bytes()).await.is_err() {
        return false;
    }
    let body = if is_head { Vec::new() } else { reply.body };
    match fault {
        Some(Fault::Cut { after, end }) => {
            let sent = connection.stream.write_all(&body[..after.min(body.len())]).await;
            if sent.and(connection.stream.flush().await).is_err() {
                return false;
            }
            match end {
                End::Close => {}
                End::Reset => connection.stream.reset(),
                End::Stall => connection.closed().await,
            }
            false
        }
        Some(Fault::Trickle { every }) => {
            for byte in body {
                if connection.stream.write_all(&[byte]).await.is_err()
                    || connection.stream.flush().await.is_err()
                {
                    return false;
                }
                tokio::time::sleep(every).await;
            }
            false
        }
        _ => {
            // A length that is a lie leaves the connection of no use.
            let length = reply.headers.iter().find(|(name, _)| name == "content-length");
            let lies = length.is_some_and(|(_, length)| *length != body.len().to_string());
            let written = connection.stream.write_all(&body).await;
            written.is_ok() && connection.stream.flush().await.is_ok() && (!lies || is_head)
        }
    }
}

fn head(reply: &Reply, is_head: bool) -> String {
    let has = |name: &str| reply.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let lines = reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
    head.extend(lines);
    let is_silent = reply.status == 204 || (is_head && reply.body.is_empty());
    if !(has("content-length") || has("transfer-encoding") || is_silent) {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    head.push_str("\r\n");
    head
}
