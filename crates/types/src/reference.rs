//! Names of images: `[domain/]path[:tag][@digest]`, by the grammar of distribution/reference and with Docker's
//! normalisation (`debian` is `docker.io/library/debian`).
//!
//! Invariants of a [`Reference`]: the domain is never empty, the path is lower-case and at most 255 bytes long, and
//! nothing in either has a meaning to a file system or a URL beyond `/` and the port's `:`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Digest, DigestError, Kind};

#[cfg(test)]
mod tests;

/// The registry of a name without one.
const DEFAULT_DOMAIN: &str = "docker.io";
/// Its old name, which is the same registry.
const LEGACY_DOMAIN: &str = "index.docker.io";
/// Where the default registry keeps names without a slash.
const OFFICIAL: &str = "library/";
/// The tag of a name without one.
const DEFAULT_TAG: &str = "latest";
/// The longest path of a repository, in bytes.
const MAX_PATH: usize = 255;
/// The longest tag, in bytes.
const MAX_TAG: usize = 128;
/// The longest text looked at: domain, path, tag and digest at their greatest.
const MAX_TEXT: usize = 1024;
/// How much of bad input an error repeats, in characters.
const SHOWN: usize = 300;

/// The name of an image in a registry, in its full form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a string names no image. The words are Docker's; clients match on them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("repository name must have at least one component")]
    Empty,
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name ({name}) must be lowercase")]
    Uppercase { name: String },
    #[error("invalid repository name ({name}), cannot specify 64-byte hexadecimal strings")]
    Hexadecimal { name: String },
    #[error("repository name must not be more than {MAX_PATH} characters")]
    TooLong,
    #[error("invalid tag format")]
    Tag,
    #[error("invalid digest in reference: {0}")]
    Digest(DigestError),
}

impl ReferenceError {
    /// Always the caller's input.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::InvalidInput
    }
}

impl Reference {
    /// Reads a familiar (`debian:12`) or full (`docker.io/library/debian:12`) name.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if is_identifier(text) {
            return Err(ReferenceError::Hexadecimal { name: text.to_owned() });
        }
        // Of what is longer than every part together, only the path can be to blame with a message of its own.
        if text.len() > MAX_TEXT {
            return Err(ReferenceError::TooLong);
        }
        let (domain, rest) = split_domain(text);
        let (named, digest) = match rest.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (rest, None),
        };
        let (path, tag) = match named.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (named, None),
        };
        // A name without a slash on the default registry is one of its own images.
        let path = if domain == DEFAULT_DOMAIN && !path.contains('/') {
            format!("{OFFICIAL}{path}")
        } else {
            path.to_owned()
        };
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase { name: shown(&path) });
        }
        if !is_domain(domain) || !path.split('/').all(is_component) || !tag.is_none_or(is_tag) {
            return Err(ReferenceError::Format);
        }
        if path.len() > MAX_PATH {
            return Err(ReferenceError::TooLong);
        }
        let digest = digest.map(|text| text.parse().map_err(ReferenceError::Digest)).transpose()?;
        Ok(Self { domain: domain.to_owned(), path, tag: tag.map(str::to_owned), digest })
    }

    /// The registry as the name spells it: `docker.io`, `localhost:5000`, `[::1]:5000`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository inside its registry: `library/debian`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Domain and path: the full name without tag and digest.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The tag, if the name has one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name has one.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The repository as people write it: `debian`, `user/app`, `localhost/app`.
    #[must_use]
    pub fn familiar_repository(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.repository();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The whole name as people write it, with tag and digest where it has them.
    #[must_use]
    pub fn familiar(&self) -> String {
        let mut text = self.familiar_repository();
        self.push_version(&mut text);
        text
    }

    /// The same name; with the tag `latest` if it had neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The repository with `tag` and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Tag);
        }
        Ok(Self { tag: Some(tag.to_owned()), ..self.without_version() })
    }

    /// The repository with `digest` and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.without_version() }
    }

    /// The repository alone.
    #[must_use]
    pub fn without_version(&self) -> Self {
        Self { domain: self.domain.clone(), path: self.path.clone(), tag: None, digest: None }
    }

    fn push_version(&self, text: &mut String) {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
    }
}

/// Domain and rest. Without a dot, a colon or an upper-case letter, the first part is no domain but a user's name.
fn split_domain(text: &str) -> (&str, &str) {
    let Some((first, rest)) = text.split_once('/') else { return (DEFAULT_DOMAIN, text) };
    match first {
        LEGACY_DOMAIN => (DEFAULT_DOMAIN, rest),
        "localhost" => (first, rest),
        _ if first.contains(['.', ':']) => (first, rest),
        _ if first.bytes().any(|byte| byte.is_ascii_uppercase()) => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    }
}

/// The ID of an image, which is never read as a name.
fn is_identifier(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            let is_address =
                !address.is_empty() && address.bytes().all(|c| c.is_ascii_hexdigit() || c == b':');
            if !is_address {
                return false;
            }
            match port.strip_prefix(':') {
                Some(port) => return is_port(port),
                None => return port.is_empty(),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    port.is_none_or(is_port) && host.split('.').all(is_label)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

/// One part of a host name: letters, digits and inner dashes.
fn is_label(text: &str) -> bool {
    let ends = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'-')
}

/// One part of a path: `[a-z0-9]+` joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(is_alphanumeric) || !text.ends_with(is_alphanumeric) {
        return false;
    }
    let mut separators = text.split(is_alphanumeric).filter(|separator| !separator.is_empty());
    separators.all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|c| c == b'-'))
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let rest = |c: u8| is_word(c) || c == b'.' || c == b'-';
    (1..=MAX_TAG).contains(&text.len()) && is_word(text.as_bytes()[0]) && text.bytes().all(rest)
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        Self::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.repository();
        self.push_version(&mut text);
        f.pad(&text)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
