//! Uploads: blobs in one or several pieces, going on after a break where the registry says, and manifests.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderValue, Method, StatusCode, header};
use longshore_types::{
    Digest, Reference,
    oci::{Descriptor, MAX_MANIFEST},
};
use reqwest::{Body, Response};
use url::Url;

use super::{
    manifest::claimed_digest,
    reply::refusal,
    repository::Repository,
    retry::after_failure,
    send::{Call, Link},
};
use crate::Error;

/// A blob up to this size goes in the request that ends its upload: a round trip less.
const SMALL: u64 = 1 << 20;
/// The pieces of an upload that was refused as too large.
const SMALLER: u64 = 32 << 20;
/// How much of a file is read at once.
const READ: usize = 512 << 10;
/// How much is handed on at once: progress is counted in these.
const PIECE: u64 = 64 << 10;

/// Bytes of an upload.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Content that can be read again from any place, because an upload may break.
pub trait Source: Send + Sync {
    /// The bytes from `offset` to the end.
    fn open(&self, offset: u64) -> io::Result<ByteStream>;
}

impl Source for Bytes {
    fn open(&self, offset: u64) -> io::Result<ByteStream> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        Ok(stream::iter([Ok(self.slice(offset..))]).boxed())
    }
}

/// A file, read beside the runtime's own threads.
#[derive(Clone, Debug)]
pub struct FileSource(Arc<File>);

impl FileSource {
    /// Takes an open file; its position does not matter.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self(Arc::new(file))
    }
}

impl Source for FileSource {
    fn open(&self, offset: u64) -> io::Result<ByteStream> {
        let pieces = stream::try_unfold((Arc::clone(&self.0), offset), |(file, offset)| async move {
            let read = move || {
                let mut piece = BytesMut::zeroed(READ);
                let length = file.read_at(&mut piece, offset)?;
                piece.truncate(length);
                Ok::<_, io::Error>((file, piece.freeze()))
            };
            let (file, piece) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
            let next = offset + piece.len() as u64;
            Ok((!piece.is_empty()).then_some((piece, (file, next))))
        });
        Ok(pieces.boxed())
    }
}

/// What became of a blob that was to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The repository had it.
    Present,
    /// The registry had it in another repository.
    Mounted { from: Reference },
    /// It was sent.
    Uploaded,
}

/// How much of a request's body is on its way.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    bytes: Arc<AtomicU64>,
    total: u64,
}

impl Sent {
    fn of(total: u64) -> Self {
        Self { bytes: Arc::default(), total }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.bytes() >= self.total
    }
}

/// An upload that a registry knows.
struct Session {
    location: Url,
    /// Bytes that the registry has.
    offset: u64,
}

type Watch = dyn Fn(u64) + Send + Sync;

impl Repository {
    /// Makes sure that the repository has a blob: by finding it, by mounting it from one of `others` in the same
    /// registry, or by sending it. `progress` is told how many bytes are on their way.
    pub async fn push_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn Source,
        others: &[Reference],
        progress: Arc<Watch>,
    ) -> Result<Pushed, Error> {
        if self.has_blob(descriptor).await? {
            return Ok(Pushed::Present);
        }
        for other in others.iter().filter(|other| other.domain() == self.name().domain()) {
            if self.mount_blob(&descriptor.digest, other).await? {
                return Ok(Pushed::Mounted { from: other.clone() });
            }
        }
        self.upload_blob(descriptor, source, progress).await?;
        Ok(Pushed::Uploaded)
    }

    /// Takes a blob from another repository of the same registry; false if the registry will not.
    pub async fn mount_blob(&self, digest: &Digest, from: &Reference) -> Result<bool, Error> {
        let link = self.0.push_link().await?;
        let scopes = [self.scope("pull,push"), format!("repository:{}:pull", from.path())];
        let mut url = link.repository_url("blobs/uploads/")?;
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from.path());
        let call = Call::get(url, &scopes, "pushing").method(Method::POST);
        let call = call.header(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        match link.persist(&call, &self.0.patience(true), &self.0.observer).await {
            Ok(response) if response.status() == StatusCode::CREATED => Ok(true),
            Ok(response) => {
                // It began an upload instead, which nobody will use.
                if let Ok(location) = link.location(&response) {
                    let call = Call::get(location, &scopes, "pushing").method(Method::DELETE);
                    drop(link.send(&call).await);
                }
                Ok(false)
            }
            // Not being allowed to read the other one is no reason not to send it.
            Err(Error::Status { .. } | Error::Denied { .. } | Error::Unauthorized { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a blob.
    pub async fn upload_blob(
        &self,
        descriptor: &Descriptor,
        source: &dyn Source,
        progress: Arc<Watch>,
    ) -> Result<(), Error> {
        let link = self.0.push_link().await?;
        let scopes = [self.scope("pull,push")];
        let chunk = self.0.shared.config.upload_chunk.unwrap_or(u64::MAX).max(1);
        let upload = Upload { link: &link, scopes: &scopes, descriptor, source, progress };
        upload.run(self, chunk).await
    }

    /// Puts a manifest or index under a tag or its digest, and gives its digest. If it has a subject that the registry
    /// does not keep track of, the list of referrers is kept under a tag instead (distribution-spec, "Referrers Tag
    /// Schema").
    pub async fn put_manifest(&self, version: &str, media_type: &str, bytes: Bytes) -> Result<Digest, Error> {
        let link = self.0.push_link().await?;
        let host = link.host().to_owned();
        if bytes.len() > MAX_MANIFEST {
            return Err(Error::TooLarge { host, what: "a manifest", limit: MAX_MANIFEST as u64 });
        }
        let digest = Digest::of(&bytes);
        let response = self.put_version(&link, version, media_type, bytes.clone()).await?;
        if let Some(claimed) = claimed_digest(response.headers())
            && claimed.algorithm() == digest.algorithm()
            && claimed != digest
        {
            return Err(Error::WrongDigest { host, expected: digest, actual: claimed });
        }
        if response.headers().get("oci-subject").is_none() {
            self.note_referrer(&link, media_type, &bytes).await?;
        }
        Ok(digest)
    }

    pub(crate) async fn put_version(
        &self,
        link: &Link<'_>,
        version: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Response, Error> {
        let scopes = [self.scope("pull,push")];
        let url = link.repository_url(&format!("manifests/{version}"))?;
        let value =
            HeaderValue::from_str(media_type).map_err(|_| link.broken("a media type is no header"))?;
        let call = Call::get(url, &scopes, "pushing").method(Method::PUT).body(bytes);
        let call = call.header(header::CONTENT_TYPE, value);
        link.persist(&call, &self.0.patience(true), &self.0.observer).await
    }
}

/// One blob on its way.
struct Upload<'a> {
    link: &'a Link<'a>,
    scopes: &'a [String],
    descriptor: &'a Descriptor,
    source: &'a dyn Source,
    progress: Arc<Watch>,
}

impl Upload<'_> {
    async fn run(&self, repository: &Repository, mut chunk: u64) -> Result<(), Error> {
        let patience = repository.0.patience(true);
        let observer = &repository.0.observer;
        let (mut failures, mut refused, mut furthest) = (0, 0, 0);
        let mut session = None;
        loop {
            let error = match self.advance(&mut session, chunk, &mut refused).await {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    let offset = session.as_ref().map_or(0, |session| session.offset);
                    if offset > furthest {
                        furthest = offset;
                        failures = 0;
                    }
                    continue;
                }
                Err(error) => error,
            };
            let too_large = error.status() == Some(413) && chunk > SMALLER;
            let out_of_order = error.status() == Some(416);
            let lost = error.status() == Some(404) && session.is_some();
            let may_pass = error.is_transient() || matches!(error, Error::Unreachable { .. });
            failures += 1;
            if too_large {
                chunk = SMALLER;
            }
            if (too_large || out_of_order || lost) && failures < patience.attempts {
                tracing::debug!(%error, "asking where the upload is");
            } else if may_pass {
                after_failure(&patience, observer, failures, error).await?;
            } else {
                return Err(error);
            }
            session = match session {
                Some(session) if !lost => self.status(session).await,
                _ => None,
            };
            // The request that broke may have been the last, and complete.
            if session.is_none() && repository.has_blob(self.descriptor).await.unwrap_or(false) {
                return Ok(());
            }
        }
    }

    /// Does the next request of an upload; true after the last.
    async fn advance(
        &self,
        session: &mut Option<Session>,
        chunk: u64,
        refused: &mut u32,
    ) -> Result<bool, Error> {
        let current = match session {
            Some(current) => current,
            None => session.insert(self.begin().await?),
        };
        let size = self.descriptor.size;
        let rest = size - current.offset;
        if rest == 0 || (current.offset == 0 && size <= SMALL.min(chunk)) {
            let mut url = current.location.clone();
            url.query_pairs_mut().append_pair("digest", self.descriptor.digest.as_str());
            let response = self.put(Method::PUT, url, 0, rest, false, refused).await?;
            if claimed_digest(response.headers()).is_some_and(|claimed| {
                claimed.algorithm() == self.descriptor.digest.algorithm() && claimed != self.descriptor.digest
            }) {
                return Err(self.link.broken("it took the blob for another one"));
            }
            return Ok(true);
        }
        let length = rest.min(chunk);
        let response =
            self.put(Method::PATCH, current.location.clone(), current.offset, length, true, refused).await?;
        current.location = self.link.location(&response)?;
        let reached = current.offset + length;
        // A registry that keeps less than it was sent says so.
        current.offset = match received(&response) {
            Some(received) if received > reached => {
                return Err(self.link.broken("it has more of an upload than it was sent"));
            }
            Some(received) if received < reached && received > 1 => received,
            _ => reached,
        };
        Ok(false)
    }

    async fn begin(&self) -> Result<Session, Error> {
        let url = self.link.repository_url("blobs/uploads/")?;
        let call = Call::get(url, self.scopes, "pushing").method(Method::POST);
        let call = call.header(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        let response = self.link.success(&call).await?;
        Ok(Session { location: self.link.location(&response)?, offset: 0 })
    }

    /// Where the registry thinks an upload is; nothing if it no longer knows it.
    async fn status(&self, session: Session) -> Option<Session> {
        let call = Call::get(session.location.clone(), self.scopes, "pushing");
        let response = self.link.success(&call).await.ok()?;
        let offset = received(&response)?;
        // `0-0` is one byte, or none: none is safe to say.
        let offset = if offset <= 1 { 0 } else { offset };
        let location = self.link.location(&response).unwrap_or(session.location);
        (offset <= self.descriptor.size).then_some(Session { location, offset })
    }

    async fn put(
        &self,
        method: Method,
        url: Url,
        offset: u64,
        length: u64,
        is_part: bool,
        refused: &mut u32,
    ) -> Result<Response, Error> {
        let mut call = Call::get(url, self.scopes, "pushing").method(method);
        call = call.header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        call = call.header(header::CONTENT_LENGTH, HeaderValue::from(length));
        if is_part {
            let range = HeaderValue::from_str(&format!("{offset}-{}", offset + length - 1));
            let range = range.map_err(|_| self.link.broken("a range is no header"))?;
            call = call.header(header::CONTENT_RANGE, range);
        }
        let sent = Sent::of(length);
        let body = if length == 0 { Body::default() } else { self.body(offset, length, &sent)? };
        let response = self.link.stream(&call, body, &sent, refused).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let origin = self.link.origin("pushing");
        Err(refusal(response, &origin, call.url.as_str(), call.method.as_str()).await)
    }

    /// `length` bytes of the blob from `offset` on, counted as they go.
    fn body(&self, offset: u64, length: u64, sent: &Sent) -> Result<Body, Error> {
        let source = |error: io::Error| Error::Source { message: error.to_string() };
        let pieces = self.source.open(offset).map_err(source)?;
        let (counter, progress) = (Arc::clone(&sent.bytes), Arc::clone(&self.progress));
        let counted =
            stream::try_unfold((pieces, Bytes::new(), length), move |(mut pieces, mut held, left)| {
                let (counter, progress) = (Arc::clone(&counter), Arc::clone(&progress));
                async move {
                    if left == 0 {
                        return Ok::<_, io::Error>(None);
                    }
                    while held.is_empty() {
                        held = pieces.next().await.unwrap_or_else(|| {
                            let message = "the content is shorter than its size";
                            Err(io::Error::new(io::ErrorKind::UnexpectedEof, message))
                        })?;
                    }
                    let most = usize::try_from(left.min(PIECE)).unwrap_or(usize::MAX);
                    let piece = held.split_to(held.len().min(most));
                    let done = counter.fetch_add(piece.len() as u64, Ordering::Relaxed) + piece.len() as u64;
                    progress(offset + done);
                    let left = left - piece.len() as u64;
                    Ok(Some((piece, (pieces, held, left))))
                }
            });
        Ok(Body::wrap_stream(counted))
    }
}

/// How many bytes a registry says it has: `Range: 0-<last>`.
fn received(response: &Response) -> Option<u64> {
    let range = response.headers().get(header::RANGE)?.to_str().ok()?;
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let (_, last) = range.split_once('-')?;
    last.trim().parse::<u64>().ok()?.checked_add(1)
}
