use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

/// A hash function that content is named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    /// The name that digests and directories of an image layout carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Characters of the hash in a digest.
    const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// The name of content: an algorithm and its hash in lower-case hexadecimal, `sha256:…`.
///
/// Safe as a path component and in a URL by construction (image-spec `descriptor.md`, "Digests").
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Why a string is no digest. Shows at most the first [`SHOWN`] characters of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error("digest {text:?} has no algorithm: expected sha256:… or sha512:…")]
    NoAlgorithm { text: String },
    #[error("digest algorithm {algorithm:?} is neither sha256 nor sha512")]
    UnknownAlgorithm { algorithm: String },
    #[error("digest {text:?} is not {expected} lower-case hexadecimal digits after its algorithm")]
    BadHash { text: String, expected: usize },
}

/// How much of a bad digest an error repeats, in characters.
const SHOWN: usize = 150;

impl Digest {
    /// The SHA-256 of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(content);
        hasher.finish()
    }

    /// `sha256:…` as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which function made it.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha512:") { Algorithm::Sha512 } else { Algorithm::Sha256 }
    }

    /// The hash alone, in hexadecimal.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[self.algorithm().name().len() + 1..]
    }

    /// The first twelve digits of the hash, as listings show it.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let shown = || text.chars().take(SHOWN).collect::<String>();
        let (name, hash) = text.split_once(':').ok_or_else(|| DigestError::NoAlgorithm { text: shown() })?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => {
                let algorithm = name.chars().take(SHOWN).collect();
                return Err(DigestError::UnknownAlgorithm { algorithm });
            }
        };
        let expected = algorithm.hex_len();
        let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if hash.len() != expected || !hash.bytes().all(is_hex) {
            return Err(DigestError::BadHash { text: shown(), expected });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

/// Makes a [`Digest`] of content that comes in pieces.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(piece),
            State::Sha512(state) => state.update(piece),
        }
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(state) => text(Algorithm::Sha256, &state.finalize()),
            State::Sha512(state) => text(Algorithm::Sha512, &state.finalize()),
        }
    }
}

fn text(algorithm: Algorithm, hash: &[u8]) -> Digest {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(algorithm.name().len() + 1 + algorithm.hex_len());
    text.push_str(algorithm.name());
    text.push(':');
    for byte in hash {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    Digest(text)
}

/// Digests that must not be mixed up with each other.
macro_rules! named_digests {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

named_digests! {
    /// The digest of a layer's uncompressed tar (image-spec `config.md`, "Layer DiffID").
    DiffId,
    /// The digest of a stack of layers (image-spec `config.md`, "Layer ChainID").
    ChainId,
    /// The digest of an image's configuration: what Docker calls the image ID.
    ImageId
}

impl ChainId {
    /// The chain of `layers`, lowest first; `None` without layers.
    #[must_use]
    pub fn of(layers: &[DiffId]) -> Option<Self> {
        let (first, rest) = layers.split_first()?;
        let add = |chain: Digest, layer: &DiffId| Digest::of(format!("{chain} {layer}").as_bytes());
        Some(Self(rest.iter().fold(first.0.clone(), add)))
    }
}

#[cfg(test)]
mod tests {
    use super::{ChainId, DiffId, Digest, DigestError};

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn hashes() {
        let digest = Digest::of(b"");
        assert_eq!(digest.as_str(), EMPTY);
        assert_eq!(digest.short(), "e3b0c44298fc");
    }

    #[test]
    fn refuses_what_is_no_digest() {
        let upper = EMPTY.to_uppercase().replace("SHA", "sha");
        let long = format!("sha256:{}", "a".repeat(1 << 20));
        for bad in ["sha256:../../x", &EMPTY[..70], &upper, &long, "sha256:", ":", "md5:00", ""] {
            let error = bad.parse::<Digest>().unwrap_err();
            assert!(error.to_string().len() < 400, "{error}");
        }
        let error = "abc".parse::<Digest>().unwrap_err();
        assert_eq!(error, DigestError::NoAlgorithm { text: "abc".into() });
    }

    #[test]
    fn chains_as_the_specification_says() {
        let layer = |text: &[u8]| DiffId(Digest::of(text));
        let (a, b) = (layer(b"a"), layer(b"b"));
        assert_eq!(ChainId::of(&[]), None);
        assert_eq!(ChainId::of(std::slice::from_ref(&a)).unwrap().0, a.0);
        let both = Digest::of(format!("{a} {b}").as_bytes());
        assert_eq!(ChainId::of(&[a, b]).unwrap().0, both);
    }
}
