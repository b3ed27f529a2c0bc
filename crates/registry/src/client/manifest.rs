//! Manifests and indexes: by tag, by digest.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use longshore_types::{
    Algorithm, Digest, Hasher,
    oci::{
        ACCEPTED, Descriptor, DocumentError, Index, MAX_MANIFEST, Manifest, MediaKind, document_media_type,
    },
};

use super::{
    range::content_length,
    reply::read_bounded,
    repository::Repository,
    send::{Call, Link},
};
use crate::{Error, error::shown};

/// A manifest or index, as its registry has it.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its media type, digest and size.
    pub descriptor: Descriptor,
    /// What the digest is of.
    pub bytes: Bytes,
    /// The host that served it: the registry or a mirror.
    pub host: String,
}

/// What a [`Resolved`] is.
#[derive(Clone, Debug)]
pub enum Content {
    Manifest(Box<Manifest>),
    Index(Box<Index>),
}

impl Resolved {
    /// Reads it.
    pub fn content(&self) -> Result<Content, Error> {
        let media_type = &self.descriptor.media_type;
        let content = if self.descriptor.kind().is_index() {
            Index::read(&self.bytes, media_type).map(|index| Content::Index(Box::new(index)))
        } else {
            Manifest::read(&self.bytes, media_type).map(|manifest| Content::Manifest(Box::new(manifest)))
        };
        content.map_err(|source| Error::Document { host: self.host.clone(), source })
    }
}

/// A tag or a digest.
enum Version {
    Tag(String),
    Digest(Digest),
}

impl Version {
    fn parse(repository: &Repository, text: &str) -> Result<Self, Error> {
        // A tag has no colon, a digest has one.
        if !text.contains(':') && repository.name().with_tag(text).is_ok() {
            return Ok(Self::Tag(text.to_owned()));
        }
        let bad = |source| Error::NotADigest { reference: shown(text), source };
        text.parse().map(Self::Digest).map_err(bad)
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag,
            Self::Digest(digest) => digest.as_str(),
        }
    }

    /// The image's name as its user knows it.
    fn reference(&self, repository: &Repository) -> String {
        let name = repository.name().familiar();
        match self {
            Self::Tag(tag) => format!("{name}:{tag}"),
            Self::Digest(digest) => format!("{name}@{digest}"),
        }
    }
}

impl Repository {
    /// The manifest or index that a tag or a digest stands for; the digest is made from the bytes.
    pub async fn resolve(&self, version: &str) -> Result<Resolved, Error> {
        self.resolve_as(version, None).await
    }

    /// The manifest or index of a descriptor: an entry of an index.
    pub async fn manifest(&self, descriptor: &Descriptor) -> Result<Resolved, Error> {
        self.resolve_as(descriptor.digest.as_str(), Some(descriptor)).await
    }

    async fn resolve_as(&self, version: &str, expected: Option<&Descriptor>) -> Result<Resolved, Error> {
        let version = Version::parse(self, version)?;
        let hosts = self.hosts_for(&version);
        let Some((last, mirrors)) = hosts.split_last() else { return Err(self.0.nobody("resolve")) };
        for at in mirrors {
            match self.resolve_at(*at, false, &version, expected).await {
                Ok(resolved) => return Ok(resolved),
                Err(error) => tracing::warn!(%error, "asking the next host"),
            }
        }
        self.resolve_at(*last, true, &version, expected).await
    }

    fn hosts_for(&self, version: &Version) -> Vec<usize> {
        match version {
            Version::Tag(_) => self.0.able(|can| can.resolve),
            Version::Digest(_) => self.0.able(|can| can.pull),
        }
    }

    async fn resolve_at(
        &self,
        at: usize,
        is_last: bool,
        version: &Version,
        expected: Option<&Descriptor>,
    ) -> Result<Resolved, Error> {
        let link = self.0.link(at).await?;
        let scopes = [self.scope("pull")];
        let url = link.repository_url(&format!("manifests/{}", version.as_str()))?;
        let call = Call::get(url, &scopes, "pulling").header(header::ACCEPT, accept());
        let patience = self.0.patience(is_last);
        let mut attempts = super::retry::Attempts::new(&patience, &self.0.observer);
        loop {
            let tried = async {
                let response = link.success(&call).await?;
                let headers = response.headers().clone();
                let limit = MAX_MANIFEST as u64;
                let bytes = read_bounded(response, limit, "a manifest", link.host(), link.stall()).await?;
                resolved(&link, version, expected, &headers, bytes)
            };
            match tried.await {
                Ok(resolved) => return Ok(resolved),
                Err(error) => attempts.failed(error).await.map_err(|error| self.unknown(version, error))?,
            }
        }
    }

    /// What a tag stands for by the registry's word alone, without its content: good to see whether something
    /// changed, never to trust. Nothing if the registry does not say.
    pub async fn head(&self, version: &str) -> Result<Option<Descriptor>, Error> {
        let version = Version::parse(self, version)?;
        let hosts = self.hosts_for(&version);
        let Some((last, mirrors)) = hosts.split_last() else { return Err(self.0.nobody("resolve")) };
        for at in mirrors {
            match self.head_at(*at, false, &version).await {
                Ok(found) => return Ok(found),
                Err(error) => tracing::warn!(%error, "asking the next host"),
            }
        }
        self.head_at(*last, true, &version).await
    }

    async fn head_at(
        &self,
        at: usize,
        is_last: bool,
        version: &Version,
    ) -> Result<Option<Descriptor>, Error> {
        let link = self.0.link(at).await?;
        let scopes = [self.scope("pull")];
        let url = link.repository_url(&format!("manifests/{}", version.as_str()))?;
        let call = Call::get(url, &scopes, "pulling").method(Method::HEAD).header(header::ACCEPT, accept());
        let response = link
            .persist(&call, &self.0.patience(is_last), &self.0.observer)
            .await
            .map_err(|error| self.unknown(version, error))?;
        let headers = response.headers();
        let digest = claimed_digest(headers).or_else(|| match version {
            Version::Digest(digest) => Some(digest.clone()),
            Version::Tag(_) => None,
        });
        let media_type = content_type(headers).unwrap_or_default();
        Ok(digest
            .zip(content_length(headers))
            .map(|(digest, size)| Descriptor::new(media_type, digest, size)))
    }

    /// A refusal to show anything of the repository, in the words of Docker: whether it is there is not told.
    pub(super) fn denied(&self, error: Error) -> Error {
        let repository = self.name().familiar();
        match error {
            Error::Denied { reply, .. } | Error::Unauthorized { reply, .. } => {
                Error::PullDenied { repository, reply }
            }
            other => other,
        }
    }

    /// A refusal of a manifest in the words of Docker.
    fn unknown(&self, version: &Version, error: Error) -> Error {
        let repository = self.name().familiar();
        match error {
            Error::Status { status: 404, reply, .. } if reply.is("NAME_UNKNOWN") => {
                Error::RepositoryUnknown { repository, reply }
            }
            Error::Status { status: 404, mut reply, .. } => {
                if reply.code.is_empty() && reply.message.is_empty() {
                    // HEAD has no body to say it.
                    "MANIFEST_UNKNOWN".clone_into(&mut reply.code);
                    "manifest unknown".clone_into(&mut reply.message);
                }
                Error::ManifestUnknown { reference: version.reference(self), reply }
            }
            other => self.denied(other),
        }
    }
}

fn accept() -> HeaderValue {
    HeaderValue::from_str(&ACCEPTED.join(", ")).unwrap_or(HeaderValue::from_static("*/*"))
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The digest that a registry claims.
pub(crate) fn claimed_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// Checks what came against what was asked for and against what its sender says of it.
fn resolved(
    link: &Link<'_>,
    version: &Version,
    expected: Option<&Descriptor>,
    headers: &HeaderMap,
    bytes: Bytes,
) -> Result<Resolved, Error> {
    let host = link.host().to_owned();
    let asked = match version {
        Version::Digest(digest) => Some(digest),
        Version::Tag(_) => None,
    };
    let algorithm = asked.map_or(Algorithm::Sha256, Digest::algorithm);
    let actual = digest_of(&bytes, algorithm);
    if let Some(expected) = asked.filter(|asked| **asked != actual) {
        return Err(Error::WrongDigest { host, expected: expected.clone(), actual });
    }
    if let Some(claimed) = claimed_digest(headers) {
        let actual = digest_of(&bytes, claimed.algorithm());
        if claimed != actual {
            return Err(Error::WrongDigest { host, expected: claimed, actual });
        }
    }
    let size = bytes.len() as u64;
    let document = |source: DocumentError| Error::Document { host: host.clone(), source };
    let claimed = content_type(headers).filter(|claimed| MediaKind::of(claimed) != MediaKind::Unknown);
    let media_type = match (expected, claimed) {
        (Some(expected), _) if !expected.media_type.is_empty() => expected.media_type.clone(),
        (_, Some(claimed)) => claimed,
        (_, None) => document_media_type(&bytes).map_err(document)?,
    };
    if let Some(expected) = expected.filter(|expected| expected.size != size) {
        let (digest, expected) = (expected.digest.clone(), expected.size);
        return Err(Error::WrongSize { host, digest, expected, actual: size });
    }
    Ok(Resolved { descriptor: Descriptor::new(media_type, actual, size), bytes, host })
}

fn digest_of(bytes: &[u8], algorithm: Algorithm) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}
