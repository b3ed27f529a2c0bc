//! A registry in this process that has what it is given and fails as it is told. HTTP/1.1, one request a
//! connection, a thread each.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use longshore_archive::{
    entry::{Entry, Kind},
    tar::Writer,
};
use longshore_types::{
    Digest,
    oci::{Descriptor, media_type},
};
use serde_json::{Value, json};

/// What the registry does with one request.
pub(crate) enum Answer {
    /// What it should.
    Good,
    /// The first bytes of the body, then the connection breaks.
    Cut(usize),
    /// The first bytes of the body, then nothing.
    Stall(usize),
    /// Other bytes.
    Other(Vec<u8>),
    /// A refusal.
    Status(u16, &'static str),
    /// The first bytes; the rest when the gate opens.
    Gate(usize),
}

/// A request, as far as it matters.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Where the wanted range begins.
    pub(crate) from: usize,
    /// How many requests for the same path came before.
    pub(crate) before: usize,
}

impl Request {
    pub(crate) fn is_blob(&self, digest: &Digest) -> bool {
        self.path.ends_with(&format!("/blobs/{digest}"))
    }
}

type Rule = dyn Fn(&Request) -> Answer + Send + Sync;

struct State {
    /// Path, media type and content.
    content: Mutex<HashMap<String, (String, Vec<u8>)>>,
    rule: Box<Rule>,
    log: Mutex<Vec<Request>>,
    gate: Mutex<bool>,
    opened: Condvar,
    stop: AtomicBool,
}

pub(crate) struct Fake {
    pub(crate) host: String,
    state: Arc<State>,
}

impl Fake {
    /// A registry that answers as `rule` says.
    pub(crate) fn start(rule: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        let state = Arc::new(State {
            content: Mutex::default(),
            rule: Box::new(rule),
            log: Mutex::default(),
            gate: Mutex::new(false),
            opened: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else { return };
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { host, state }
    }

    /// A registry without faults.
    pub(crate) fn good() -> Self {
        Self::start(|_| Answer::Good)
    }

    /// Takes an image under `app:tag`; returns its full name.
    pub(crate) fn add(&self, tag: &str, image: &Image) -> String {
        for (descriptor, content) in &image.blobs {
            self.put(&format!("/v2/app/blobs/{}", descriptor.digest), "application/octet-stream", content);
        }
        self.add_manifest(tag, &image.media_type, &image.manifest)
    }

    /// Takes a document under a tag and its digest.
    pub(crate) fn add_manifest(&self, tag: &str, media_type: &str, content: &[u8]) -> String {
        self.put(&format!("/v2/app/manifests/{tag}"), media_type, content);
        self.put(&format!("/v2/app/manifests/{}", Digest::of(content)), media_type, content);
        format!("{}/app:{tag}", self.host)
    }

    fn put(&self, path: &str, media_type: &str, content: &[u8]) {
        let mut all = self.state.content.lock().expect("content");
        all.insert(path.to_owned(), (media_type.to_owned(), content.to_owned()));
    }

    /// Lets what waits at the gate go on.
    pub(crate) fn open_gate(&self) {
        *self.state.gate.lock().expect("the gate") = true;
        self.state.opened.notify_all();
    }

    /// The requests so far.
    pub(crate) fn log(&self) -> Vec<Request> {
        self.state.log.lock().expect("the log").clone()
    }

    /// Downloads of a blob.
    pub(crate) fn downloads(&self, digest: &Digest) -> Vec<Request> {
        self.log().into_iter().filter(|request| request.method == "GET" && request.is_blob(digest)).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        self.open_gate();
        // Wakes the listener.
        drop(TcpStream::connect(&self.host));
    }
}

impl State {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let Some(request) = self.read(&mut reader) else { return };
        let mut stream = reader.into_inner();
        let answer = (self.rule)(&request);
        // Whoever hangs up early has what it wanted.
        self.answer(&mut stream, &request, answer).ok();
        stream.shutdown(Shutdown::Both).ok();
    }

    /// Reads a request; what is none (TLS) is hung up on.
    fn read(&self, reader: &mut BufReader<TcpStream>) -> Option<Request> {
        if reader.fill_buf().ok()?.first() == Some(&0x16) {
            return None;
        }
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut from = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(range) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
                from = range.split('-').next()?.parse().ok()?;
            }
        }
        let mut log = self.log.lock().expect("the log");
        let before = log.iter().filter(|other| other.method == method && other.path == path).count();
        let request = Request { method, path, from, before };
        log.push(request.clone());
        Some(request)
    }

    fn answer(&self, out: &mut TcpStream, request: &Request, answer: Answer) -> std::io::Result<()> {
        if request.path == "/v2/" {
            return write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        if let Answer::Status(status, headers) = answer {
            return write!(
                out,
                "HTTP/1.1 {status} No\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        let found = self.content.lock().expect("content").get(&request.path).cloned();
        let Some((media_type, content)) = found else {
            return write!(out, "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let whole = content.len();
        let content = match &answer {
            Answer::Other(other) => other,
            _ => &content,
        };
        let body = content.get(request.from..).unwrap_or_default();
        let (status, range) = match request.from {
            0 => (200, String::new()),
            from => (206, format!("Content-Range: bytes {from}-{}/{whole}\r\n", whole.saturating_sub(1))),
        };
        write!(
            out,
            "HTTP/1.1 {status} OK\r\nContent-Type: {media_type}\r\n{range}Content-Length: {}\r\n\
             Docker-Content-Digest: {}\r\nConnection: close\r\n\r\n",
            body.len(),
            Digest::of(content),
        )?;
        if request.method == "HEAD" {
            return Ok(());
        }
        match answer {
            Answer::Cut(length) => out.write_all(&body[..length.min(body.len())]),
            Answer::Stall(length) => {
                out.write_all(&body[..length.min(body.len())])?;
                // Until the other side has had enough.
                out.read(&mut [0]).map(drop)
            }
            Answer::Gate(length) => {
                let length = length.min(body.len());
                out.write_all(&body[..length])?;
                let gate = self.gate.lock().expect("the gate");
                drop(self.opened.wait_while(gate, |open| !*open).expect("the gate"));
                out.write_all(&body[length..])
            }
            _ => out.write_all(body),
        }
    }
}

/// An image made here.
pub(crate) struct Image {
    pub(crate) media_type: String,
    pub(crate) manifest: Vec<u8>,
    /// The configuration, then the layers.
    pub(crate) blobs: Vec<(Descriptor, Vec<u8>)>,
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push(state.to_le_bytes()[3]);
    }
    bytes
}

/// A layer with these files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (path, content) in files {
        let entry = Entry {
            path: path.as_bytes().to_vec(),
            kind: Kind::File,
            mode: 0o644,
            size: content.len() as u64,
            ..Entry::default()
        };
        writer.entry(&entry, *content).expect("an entry");
    }
    writer.finish().expect("an archive")
}

impl Image {
    /// An image of these uncompressed layers.
    pub(crate) fn of(layers: &[Vec<u8>]) -> Self {
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let layers = layers.iter().map(|layer| (media_type::OCI_LAYER, layer.clone()));
        Self::with(layers.collect(), &diff_ids, &json!({}))
    }

    /// An image of these layers, by a configuration that says so or lies.
    pub(crate) fn with(layers: Vec<(&str, Vec<u8>)>, diff_ids: &[Digest], config: &Value) -> Self {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = config.to_string().into_bytes();
        let mut blobs = vec![(Descriptor::of(media_type::OCI_CONFIG, &config), config)];
        blobs.extend(layers.into_iter().map(|(kind, layer)| (Descriptor::of(kind, &layer), layer)));
        let mut image = Self { media_type: media_type::OCI_MANIFEST.to_owned(), manifest: Vec::new(), blobs };
        image.describe();
        image
    }

    /// Writes the manifest again, after a change of the descriptors.
    pub(crate) fn describe(&mut self) {
        let descriptors: Vec<_> = self.blobs.iter().map(|(descriptor, _)| descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": self.media_type, "config": descriptors[0], "layers": descriptors[1..],
        });
        self.manifest = manifest.to_string().into_bytes();
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// The blob of a layer.
    pub(crate) fn layer(&self, number: usize) -> &Digest {
        &self.blobs[number + 1].0.digest
    }
}
