//! Blobs: downloads that go on after a break.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use longshore_types::{
    Hasher,
    oci::{Descriptor, MediaKind},
};
use reqwest::Response;
use tokio::time::timeout;
use url::Url;

use super::{
    connection::failure,
    range::{Continuation, content_length, judge},
    reply::refusal,
    repository::{Observer, Repository},
    retry::after_failure,
    send::{Call, Origin, fetch_elsewhere},
};
use crate::{Error, config::Patience, mirror::host_of};

/// The least progress after which failures are counted from zero again: this, or a hundredth of the blob.
const PROGRESS: u64 = 1 << 20;
/// How long to wait for the end of a body that has given all its bytes.
const END: Duration = Duration::from_secs(5);

/// A download. Gives each byte of the blob from its offset on once and in order, whatever breaks on the way; the
/// total is checked, the digest is the caller's to check.
#[derive(Debug)]
pub struct Blob {
    repository: Repository,
    descriptor: Descriptor,
    /// Bytes given, or there before.
    offset: u64,
    /// Where to ask: hosts by number, or addresses of a foreign layer; the first is being asked.
    sources: Vec<Source>,
    body: Option<Body>,
    patience: Patience,
    observer: Observer,
    failures: u32,
    /// Where the failures are counted from.
    mark: u64,
    /// Ask for the whole blob: the host does not do ranges, or not well.
    whole: bool,
    /// The version that the host named, to see a change.
    version: Option<(String, HeaderValue)>,
}

#[derive(Clone, Debug)]
enum Source {
    Host(usize),
    Elsewhere(Url),
}

#[derive(Debug)]
struct Body {
    response: Response,
    host: String,
    /// Bytes to drop: they are there already.
    skip: u64,
    /// Whether the body says where it ends.
    has_length: bool,
    /// Waiting and bytes since the last sign of progress.
    waited: Duration,
    got: u64,
}

impl Repository {
    /// Downloads a blob from `offset` on. Sends nothing before it is asked for the first bytes.
    pub fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<Blob, Error> {
        let is_foreign = matches!(descriptor.kind(), MediaKind::Layer { foreign: true, .. });
        let sources = if is_foreign { self.elsewhere(descriptor)? } else { self.hosts() };
        if sources.is_empty() {
            return Err(self.0.nobody("pull"));
        }
        Ok(Blob {
            repository: self.clone(),
            offset: offset.min(descriptor.size),
            mark: offset,
            descriptor: descriptor.clone(),
            patience: self.0.patience(sources.len() == 1),
            sources,
            body: None,
            observer: self.0.observer.clone(),
            failures: 0,
            whole: false,
            version: None,
        })
    }

    fn hosts(&self) -> Vec<Source> {
        self.0.able(|can| can.pull).into_iter().map(Source::Host).collect()
    }

    /// The addresses of a foreign layer, if they may be used.
    fn elsewhere(&self, descriptor: &Descriptor) -> Result<Vec<Source>, Error> {
        let digest = descriptor.digest.clone();
        let urls = descriptor.urls.iter().filter_map(|url| Url::parse(url).ok());
        let urls: Vec<Url> = urls.filter(|url| url.scheme() == "https" && url.has_host()).collect();
        if !self.0.shared.config.allow_foreign_layers {
            let mut hosts: Vec<String> = urls.iter().map(host_of).take(5).collect();
            hosts.dedup();
            return Err(Error::Foreign { digest, hosts: hosts.join(", ") });
        }
        let without_user = urls.into_iter().filter_map(|mut url| {
            url.set_username("").ok()?;
            url.set_password(None).ok()?;
            Some(Source::Elsewhere(url))
        });
        let sources: Vec<_> = without_user.collect();
        if sources.is_empty() { Err(Error::ForeignAddress { digest }) } else { Ok(sources) }
    }

    /// A small blob, complete and with its digest checked.
    pub async fn blob_bytes(&self, descriptor: &Descriptor, limit: u64) -> Result<Bytes, Error> {
        let host = self.name().domain().to_owned();
        if descriptor.size > limit {
            return Err(Error::TooLarge { host, what: "a blob", limit });
        }
        let mut blob = self.blob(descriptor, 0)?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = blob.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let mut hasher = Hasher::new(descriptor.digest.algorithm());
        hasher.update(&bytes);
        let actual = hasher.finish();
        if actual != descriptor.digest {
            return Err(Error::WrongDigest { host, expected: descriptor.digest.clone(), actual });
        }
        Ok(bytes.freeze())
    }

    /// Whether the registry itself, not a mirror, has a blob.
    pub async fn has_blob(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let link = self.0.push_link().await?;
        let scopes = [self.scope("pull,push")];
        let url = link.repository_url(&format!("blobs/{}", descriptor.digest))?;
        let call = Call::get(url, &scopes, "pushing").method(Method::HEAD);
        match link.persist(&call, &self.0.patience(true), &self.0.observer).await {
            Ok(response) => {
                // A registry that claims another size has something else, or nothing.
                let length = content_length(response.headers());
                Ok(length.is_none_or(|length| length == descriptor.size))
            }
            Err(Error::Status { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Blob {
    /// How many bytes of the blob are there.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes; nothing after the last.
    ///
    /// Safe to drop between calls; a call that was dropped half-way has given nothing and lost nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.offset >= self.descriptor.size {
                return self.end().await;
            }
            let tried = match self.body {
                None => self.open().await.map(|()| None),
                Some(_) => self.piece().await,
            };
            match tried {
                Ok(Some(piece)) => return Ok(Some(piece)),
                Ok(None) => {}
                Err(error) => self.failed(error).await?,
            }
        }
    }

    /// The download as a stream that ends after its first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        stream::try_unfold(self, |mut blob| async move { Ok(blob.next().await?.map(|piece| (piece, blob))) })
    }

    /// Asks for what is missing.
    async fn open(&mut self) -> Result<(), Error> {
        let from = if self.whole { 0 } else { self.offset };
        let mut headers = HeaderMap::new();
        if from > 0 {
            let range = HeaderValue::from_str(&format!("bytes={from}-"));
            headers.extend(range.ok().map(|range| (header::RANGE, range)));
        }
        let (response, host) = match self.sources[0].clone() {
            Source::Elsewhere(url) => {
                let response = fetch_elsewhere(&self.repository.0.shared, &url, &headers).await?;
                (self.accepted(response, &host_of(&url), &url).await?, host_of(&url))
            }
            Source::Host(at) => {
                let repository = self.repository.clone();
                let link = repository.0.link(at).await?;
                let scopes = [repository.scope("pull")];
                let url = link.repository_url(&format!("blobs/{}", self.descriptor.digest))?;
                let mut call = Call::get(url.clone(), &scopes, "pulling");
                call.headers = headers;
                let response = link.send(&call).await?;
                (self.accepted(response, link.host(), &url).await?, link.host().to_owned())
            }
        };
        self.check_version(&response, &host)?;
        let skip = match judge(response.status(), response.headers(), from, self.descriptor.size) {
            Continuation::AtOffset => self.offset - from,
            Continuation::Whole => self.offset,
            Continuation::Useless if self.whole || from == 0 => {
                return Err(Error::Protocol {
                    host,
                    what: format!("status {} for a blob", response.status()),
                });
            }
            Continuation::Useless => {
                self.whole = true;
                return Ok(());
            }
            Continuation::WrongSize(actual) => {
                let (digest, expected) = (self.descriptor.digest.clone(), self.descriptor.size);
                return Err(Error::WrongSize { host, digest, expected, actual });
            }
        };
        let has_length = content_length(response.headers()).is_some();
        self.body = Some(Body { response, host, skip, has_length, waited: Duration::ZERO, got: 0 });
        Ok(())
    }

    /// A reply with a body that is the blob's, or the error that it is.
    async fn accepted(&mut self, response: Response, host: &str, url: &Url) -> Result<Response, Error> {
        let status = response.status();
        if status == StatusCode::RANGE_NOT_SATISFIABLE && self.offset > 0 && !self.whole {
            self.whole = true;
            return Err(Error::Broken { host: host.to_owned(), message: "the range was refused".to_owned() });
        }
        if !status.is_success() {
            let origin = Origin {
                host,
                repository: self.repository.0.name.path(),
                action: "pulling",
                account: None,
                route: None,
                stall: self.patience.stall,
            };
            return Err(match refusal(response, &origin, url.as_str(), "GET").await {
                Error::Status { status: 404, reply, host, repository, .. } => {
                    Error::BlobUnknown { host, repository, digest: self.descriptor.digest.clone(), reply }
                }
                error => error,
            });
        }
        // Some stores label a gzip layer as content that was packed for the way, and send it as it is.
        let encoding = response.headers().get(header::CONTENT_ENCODING);
        let packed = encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
        let remains = self.descriptor.size - if self.whole { 0 } else { self.offset };
        if packed && content_length(response.headers()) != Some(remains) {
            let what = "it packed a blob for the way (content-encoding), which nobody asked for".to_owned();
            return Err(Error::Protocol { host: host.to_owned(), what });
        }
        Ok(response)
    }

    /// Fails if the same host now names another version of the blob: content that has a digest does not change.
    fn check_version(&mut self, response: &Response, host: &str) -> Result<(), Error> {
        let tag = response.headers().get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
        let Some(tag) = tag.cloned() else { return Ok(()) };
        let from = host_of(response.url());
        match &self.version {
            Some((known, old)) if *known == from && *old != tag => {
                Err(Error::Changed { host: host.to_owned(), digest: self.descriptor.digest.clone() })
            }
            _ => {
                self.version = Some((from, tag));
                Ok(())
            }
        }
    }

    /// The next piece of the body; nothing if it was only skipped.
    async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(body) = self.body.as_mut() else { return Ok(None) };
        let piece = body.read(&self.patience).await?;
        let Some(mut piece) = piece else {
            let message = format!("it ended after {} of {} bytes", self.offset, self.descriptor.size);
            return Err(Error::Broken { host: body.host.clone(), message });
        };
        if body.skip > 0 {
            let skipped = body.skip.min(piece.len() as u64);
            body.skip -= skipped;
            drop(piece.split_to(usize::try_from(skipped).unwrap_or(piece.len())));
        }
        if piece.is_empty() {
            return Ok(None);
        }
        let offset = self.offset + piece.len() as u64;
        if offset > self.descriptor.size {
            return Err(self.too_much(offset));
        }
        self.offset = offset;
        if self.offset - self.mark >= PROGRESS.max(self.descriptor.size / 100) {
            self.mark = self.offset;
            self.failures = 0;
        }
        Ok(Some(piece))
    }

    fn too_much(&self, actual: u64) -> Error {
        let host = self.body.as_ref().map(|body| body.host.clone()).unwrap_or_default();
        let (digest, expected) = (self.descriptor.digest.clone(), self.descriptor.size);
        Error::WrongSize { host, digest, expected, actual }
    }

    /// After the last byte: nothing may follow.
    async fn end(&mut self) -> Result<Option<Bytes>, Error> {
        let size = self.descriptor.size;
        let more = match self.body.as_mut() {
            Some(body) if !body.has_length => timeout(END, body.response.chunk()).await,
            _ => Ok(Ok(None)),
        };
        let error = match more {
            Ok(Ok(Some(piece))) if !piece.is_empty() => Err(self.too_much(size + piece.len() as u64)),
            // All bytes are there; how the connection ends is of no interest.
            _ => Ok(None),
        };
        self.body = None;
        error
    }

    /// Waits for the next attempt, goes to the next host, or fails for good.
    async fn failed(&mut self, error: Error) -> Result<(), Error> {
        self.body = None;
        let may_pass = error.is_transient() || matches!(error, Error::Unreachable { .. });
        if may_pass {
            self.failures += 1;
        }
        let failed = match may_pass {
            // A host that was never reached is not worth waiting for, unless it just broke off.
            true if !(matches!(error, Error::Unreachable { .. })
                && self.offset == self.mark
                && self.failures == 1) =>
            {
                after_failure(&self.patience, &self.observer, self.failures, error).await
            }
            _ => Err(error),
        };
        let Err(error) = failed else { return Ok(()) };
        if self.sources.len() < 2 {
            return Err(error);
        }
        tracing::warn!(%error, "asking the next host");
        self.sources.remove(0);
        self.patience = self.repository.0.patience(self.sources.len() == 1);
        self.failures = 0;
        self.whole = false;
        self.version = None;
        Ok(())
    }
}

impl Body {
    /// The next piece. A body that gives too little for too long has stalled.
    async fn read(&mut self, patience: &Patience) -> Result<Option<Bytes>, Error> {
        let stalled = || Error::Stalled { host: self.host.clone(), seconds: patience.stall.as_secs() };
        let Some(left) = patience.stall.checked_sub(self.waited).filter(|left| !left.is_zero()) else {
            return Err(stalled());
        };
        let start = Instant::now();
        let piece = timeout(left, self.response.chunk()).await.map_err(|_| stalled())?;
        let piece = piece.map_err(|error| failure(&self.host, error))?;
        // Only waiting for the host counts; how long the caller takes in between is its own business.
        self.waited += start.elapsed();
        self.got += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.got >= patience.least {
            self.waited = Duration::ZERO;
            self.got = 0;
        }
        Ok(piece)
    }
}
