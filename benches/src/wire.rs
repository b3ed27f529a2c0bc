//! The least client of Docker's API: one keep-alive connection over a unix socket, one request at a time.
//!
//! It is the same few lines for every daemon, so that what is measured is theirs.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::Value;

/// All the daemons that are compared know this version.
const VERSION: &str = "/v1.41";
/// No request of a benchmark takes longer.
const LIMIT: Duration = Duration::from_mins(5);

/// A connection to a daemon.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<UnixStream>,
}

/// What a daemon answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Where the body of an answer ends.
enum End {
    Length(u64),
    Chunks,
    /// With the connection.
    Close,
}

impl Connection {
    /// Connects to the daemon's socket.
    pub fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks for something without a body; an answer that is no success is an error.
    pub fn ask(&mut self, method: &str, path: &str) -> io::Result<Vec<u8>> {
        self.call(method, path, None)
    }

    /// Posts a document and reads the one that is answered, null if there is none.
    pub fn post(&mut self, path: &str, document: &Value) -> io::Result<Value> {
        let body = self.call("POST", path, Some(("application/json", &serde_json::to_vec(document)?)))?;
        if body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&body)?) }
    }

    /// Sends a body of a type.
    pub fn call(&mut self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> io::Result<Vec<u8>> {
        let reply = self.exchange(method, path, body)?;
        match reply.status {
            101 | 200..=299 | 304 => Ok(reply.body),
            status => {
                let said = String::from_utf8_lossy(&reply.body);
                Err(io::Error::other(format!("{method} {path}: {status} {}", said.trim())))
            }
        }
    }

    fn exchange(&mut self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> io::Result<Reply> {
        let (kind, bytes) = body.unwrap_or(("", &[]));
        let mut head = format!("{method} {VERSION}{path} HTTP/1.1\r\nHost: bench\r\n");
        if !kind.is_empty() {
            head.push_str("Content-Type: ");
            head.push_str(kind);
            head.push_str("\r\n");
        }
        if method != "GET" {
            head.push_str("Content-Length: ");
            head.push_str(&bytes.len().to_string());
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(bytes);
        self.stream.get_mut().write_all(&request)?;
        let (status, end) = self.head()?;
        let mut body = Vec::new();
        match end {
            End::Length(length) => {
                self.stream.by_ref().take(length).read_to_end(&mut body)?;
            }
            End::Chunks => self.chunks(&mut body)?,
            End::Close => {
                self.stream.read_to_end(&mut body)?;
            }
        }
        Ok(Reply { status, body })
    }

    fn head(&mut self) -> io::Result<(u16, End)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not an answer: {line:?}")))?;
        let mut end = if matches!(status, 204 | 304) { End::Length(0) } else { End::Close };
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok((status, end));
            }
            if let Some(length) = line.strip_prefix("content-length:") {
                end = End::Length(length.trim().parse().map_err(io::Error::other)?);
            } else if line.starts_with("transfer-encoding:") && line.ends_with("chunked") {
                end = End::Chunks;
            }
        }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let size = u64::from_str_radix(self.line()?.trim(), 16).map_err(io::Error::other)?;
            self.stream.by_ref().take(size).read_to_end(body)?;
            self.line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}
