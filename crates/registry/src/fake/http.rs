use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Shared, fault::Fault};

/// The longest head of a request.
const MAX_HEAD: usize = 64 << 10;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Seen {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A request with its body, or the part that came before it was to be broken off.
pub(super) struct Request {
    pub(super) seen: Seen,
    pub(super) body: Vec<u8>,
    /// The fault cut the body off: the connection is to end here.
    pub(super) cut: bool,
}

pub(super) struct Connection<S> {
    pub(super) stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next request; nothing at the end.
    pub(super) async fn read(&mut self, shared: &Shared) -> io::Result<Option<Request>> {
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                break String::from_utf8_lossy(&head).into_owned();
            }
            // The beginning of TLS: what a plain server says to that.
            if self.buffer.first() == Some(&0x16) {
                self.stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await?;
                return Ok(None);
            }
            if self.buffer.len() > MAX_HEAD || self.fill().await? == 0 {
                return Ok(None);
            }
        };
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(path)) = (first.next(), first.next()) else { return Ok(None) };
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        });
        let seen = Seen { method: method.to_owned(), path: path.to_owned(), headers: headers.collect() };
        if seen.header("expect").is_some() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let limit = shared.state().rules.iter().find_map(|rule| match rule.fault {
            Fault::CutRequest { after } if rule.method == seen.method && seen.path.contains(&rule.path) => {
                Some(after)
            }
            _ => None,
        });
        let (body, cut) = self.body(&seen, limit).await?;
        Ok(Some(Request { seen, body, cut }))
    }

    async fn body(&mut self, seen: &Seen, limit: Option<usize>) -> io::Result<(Vec<u8>, bool)> {
        let length: usize = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let wanted = limit.map_or(length, |limit| limit.min(length));
        while self.buffer.len() < wanted {
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok((self.buffer.drain(..wanted).collect(), wanted < length))
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let mut piece = vec![0; 64 << 10];
        let length = self.stream.read(&mut piece).await?;
        self.buffer.extend_from_slice(&piece[..length]);
        Ok(length)
    }

    /// Waits until the other side has closed.
    pub(super) async fn closed(&mut self) {
        while self.fill().await.is_ok_and(|length| length > 0) {
            self.buffer.clear();
        }
    }
}
