//! Why talking to a registry failed.
//!
//! Where Docker's clients match on words, these are Docker's. No variant holds a secret, the query of a URL, or an
//! unbounded piece of a server's reply.

use std::{fmt, time::Duration};

use longshore_types::{Digest, DigestError, Kind, oci::DocumentError};

use crate::{auth::HelperError, auth::KeychainError, client::RedirectError, config::ConfigError};

/// A failure of a registry, of the way to it, or of what it sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "pull access denied for {repository}, repository does not exist or may require 'docker login': {reply}"
    )]
    PullDenied { repository: String, reply: Box<Reply> },
    #[error("{reply} ({action} {repository} at {host})")]
    Denied { host: String, repository: String, action: &'static str, reply: Box<Reply> },
    #[error("{method} \"{url}\": {reply}")]
    Unauthorized { method: String, url: String, reply: Box<Reply> },
    #[error("{method} \"{url}\": no basic auth credentials")]
    NoBasicCredentials { method: String, url: String },
    #[error("manifest for {reference} not found: {reply}")]
    ManifestUnknown { reference: String, reply: Box<Reply> },
    #[error("repository {repository} not found: {reply}")]
    RepositoryUnknown { repository: String, reply: Box<Reply> },
    #[error("{host} has no blob {digest} in {repository}: {reply}")]
    BlobUnknown { host: String, repository: String, digest: Digest, reply: Box<Reply> },
    #[error("{reply}{}: {host} limits requests; log in, or wait and try again", wait(retry_after))]
    TooManyRequests { host: String, reply: Box<Reply>, retry_after: Option<Duration> },
    #[error("{host}: {action} {repository} failed: {reply}")]
    Status {
        host: String,
        repository: String,
        action: &'static str,
        status: u16,
        reply: Box<Reply>,
        retry_after: Option<Duration>,
    },
    #[error("failed to GET {url}: {reply}")]
    Download { url: String, reply: Box<Reply> },
    #[error("cannot reach {host}: {message}")]
    Unreachable { host: String, message: String },
    #[error("{host}: connection broke: {message}")]
    Broken { host: String, message: String },
    #[error("{host}: nothing came for {seconds} s")]
    Stalled { host: String, seconds: u64 },
    #[error(
        "cannot verify the certificate of {host}: {message}; put its CA into /etc/docker/certs.d/{host}/ca.crt, or \
         name the host under insecure-registries if it may go unverified"
    )]
    Certificate { host: String, message: String },
    #[error(
        "{host}: server gave HTTP response to HTTPS client; name the host under insecure-registries if it may be \
         spoken to without TLS"
    )]
    PlainHttp { host: String },
    #[error("{host}: {source}")]
    Redirect { host: String, source: RedirectError },
    #[error("{host} sends its users to {realm} for a token: {reason}; no credentials were sent")]
    Realm { host: String, realm: String, reason: &'static str },
    #[error("{realm} gave no usable token for {host}: {reason}")]
    Token { host: String, realm: String, reason: &'static str },
    #[error(
        "{host} asks for a password over plain http; name the host under insecure-registries if it may be sent so"
    )]
    PlainPassword { host: String },
    #[error("{host}: {what} is larger than {limit} bytes")]
    TooLarge { host: String, what: &'static str, limit: u64 },
    #[error("{host} broke the protocol: {what}")]
    Protocol { host: String, what: String },
    #[error("{host} sent {actual} where {expected} was asked for")]
    WrongDigest { host: String, expected: Digest, actual: Digest },
    #[error("{host} offers {actual} bytes for {digest}, which has {expected}")]
    WrongSize { host: String, digest: Digest, expected: u64, actual: u64 },
    #[error("{host} changed {digest} while it was being downloaded")]
    Changed { host: String, digest: Digest },
    #[error("gave up after {attempts} attempts: {last}")]
    GaveUp { attempts: u32, last: Box<Self> },
    #[error(
        "layer {digest} is kept elsewhere and foreign layers are off; allow them to fetch it from {hosts}"
    )]
    Foreign { digest: Digest, hosts: String },
    #[error("layer {digest} names no https address to fetch it from")]
    ForeignAddress { digest: Digest },
    #[error("{reference:?} is neither a tag nor a digest: {source}")]
    NotADigest { reference: String, source: DigestError },
    #[error("cannot read what is to be uploaded: {message}")]
    Source { message: String },
    #[error("{host}: {source}")]
    Document { host: String, source: DocumentError },
    #[error(transparent)]
    Keychain(#[from] KeychainError),
    #[error(transparent)]
    Helper(#[from] HelperError),
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Error {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::PullDenied { .. }
            | Self::ManifestUnknown { .. }
            | Self::RepositoryUnknown { .. }
            | Self::BlobUnknown { .. } => Kind::NotFound,
            Self::Denied { .. }
            | Self::Unauthorized { .. }
            | Self::NoBasicCredentials { .. }
            | Self::Realm { .. }
            | Self::Token { .. }
            | Self::PlainPassword { .. } => Kind::PermissionDenied,
            Self::TooManyRequests { .. }
            | Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Protocol { .. }
            | Self::Redirect { .. }
            | Self::PlainHttp { .. }
            | Self::Certificate { .. }
            | Self::TooLarge { .. }
            | Self::WrongDigest { .. }
            | Self::WrongSize { .. }
            | Self::Changed { .. } => Kind::Unavailable,
            Self::Status { status, .. } => match status {
                404 => Kind::NotFound,
                400..=499 => Kind::InvalidInput,
                _ => Kind::Unavailable,
            },
            Self::Download { reply, .. } => match reply.status {
                404 => Kind::NotFound,
                401 | 403 => Kind::PermissionDenied,
                400..=499 => Kind::InvalidInput,
                _ => Kind::Unavailable,
            },
            Self::Stalled { .. } => Kind::Timeout,
            Self::GaveUp { last, .. } => last.kind(),
            Self::Foreign { .. } | Self::ForeignAddress { .. } => Kind::Unsupported,
            Self::NotADigest { .. } => Kind::InvalidInput,
            Self::Source { .. } => Kind::Internal,
            Self::Document { source, .. } => source.kind(),
            Self::Keychain(error) => error.kind(),
            Self::Helper(error) => error.kind(),
            Self::Config(error) => error.kind(),
        }
    }

    /// The HTTP status behind it, where there is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::PullDenied { reply, .. }
            | Self::Denied { reply, .. }
            | Self::Unauthorized { reply, .. }
            | Self::ManifestUnknown { reply, .. }
            | Self::RepositoryUnknown { reply, .. }
            | Self::BlobUnknown { reply, .. }
            | Self::TooManyRequests { reply, .. } => Some(reply.status),
            Self::GaveUp { last, .. } => last.status(),
            _ => None,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Stalled { .. } | Self::TooManyRequests { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 500..=599),
            _ => false,
        }
    }

    /// How long the server asks to wait.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn wait(retry_after: &Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!(" (it asks to wait {} s)", wait.as_secs()))
}

/// What a server said about its refusal: its first error if it speaks the protocol, else its first words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// The error's code, as in `MANIFEST_UNKNOWN`; empty if it named none.
    pub code: String,
    /// The error's message, bounded and without control characters.
    pub message: String,
}

impl Reply {
    /// Whether the server named this code.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code.eq_ignore_ascii_case(code)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `MANIFEST_UNKNOWN` is written `manifest unknown`, as Docker does.
        let code = self.code.to_ascii_lowercase().replace('_', " ");
        match (code.as_str(), self.message.as_str()) {
            ("", "") => write!(f, "status {}", self.status),
            ("", message) => write!(f, "status {}: {message}", self.status),
            (code, "") => f.write_str(code),
            (code, message) => write!(f, "{code}: {message}"),
        }
    }
}

/// How much of a server's message is repeated, in characters.
const SHOWN: usize = 300;

/// A piece of a stranger's text on one line, fit for a message.
pub(crate) fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = line.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if line.chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}
