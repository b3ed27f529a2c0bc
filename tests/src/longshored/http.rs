//! HTTP as little as tests need it: a request on a connection of its own, and the whole answer.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

/// A request to send.
#[derive(Clone, Debug)]
pub struct Exchange {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Exchange {
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: method.into(), path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a document as the body; `Value::Null` is none.
    #[must_use]
    pub fn json(self, document: &serde_json::Value) -> Self {
        if document.is_null() {
            return self;
        }
        self.header("Content-Type", "application/json").body(document.to_string())
    }

    /// The body, as it is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// Sends it, and reads the whole answer.
    ///
    /// # Errors
    /// When the daemon cannot be reached, or its answer is no HTTP.
    pub fn send(&self, socket: &Path) -> io::Result<Answer> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(crate::patience()))?;
        stream.write_all(&self.head())?;
        stream.write_all(&self.body)?;
        Answer::read(&mut BufReader::new(stream), &self.method)
    }

    /// The head, as it is sent.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: longshore\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || self.method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

impl Answer {
    /// Reads its head alone: what comes then may be a stream without an end.
    ///
    /// # Errors
    /// When it is no HTTP.
    pub fn head(from: &mut impl BufRead) -> io::Result<Self> {
        let invalid = |line: &str| io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP: {line:?}"));
        let first = line(from)?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| invalid(&first))?;
        let mut headers = BTreeMap::new();
        loop {
            let line = line(from)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        Ok(Self { status, headers, body: Vec::new() })
    }

    /// Reads one from a connection: the body too, unless it becomes a stream.
    ///
    /// # Errors
    /// When it is no HTTP.
    pub fn read(from: &mut impl BufRead, method: &str) -> io::Result<Self> {
        let Self { status, headers, mut body } = Self::head(from)?;
        let length = headers.get("content-length").and_then(|length| length.parse::<u64>().ok());
        if method == "HEAD" || status == 101 || status == 204 || status == 304 {
            // There is none.
        } else if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            chunks(from, &mut body)?;
        } else if let Some(length) = length {
            from.take(length).read_to_end(&mut body)?;
        } else {
            from.read_to_end(&mut body)?;
        }
        Ok(Self { status, headers, body })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a document.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The message of an answer that says what failed.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_else(|| panic!("no message: {}", self.text())).to_owned()
    }

    /// This answer, which must have `status`.
    ///
    /// # Panics
    /// If it has another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn chunks(from: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let size = line(from)?;
        let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
        let size = size.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        from.take(size).read_to_end(body)?;
        line(from)?;
        if size == 0 {
            return Ok(());
        }
    }
}
