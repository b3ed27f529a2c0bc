//! Versions of the API: `1.24` to `1.55`.

use std::{fmt, num::ParseIntError, str::FromStr};

/// A version of the API. The first number is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16);

impl Version {
    /// The oldest that is served.
    pub const OLDEST: Self = Self(24);
    /// The newest, and what a path without one means.
    pub const NEWEST: Self = Self(55);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// Why something is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error("a version is 1.N")]
    Form,
    #[error("a version is 1.N")]
    Number(#[from] ParseIntError),
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let minor = text.strip_prefix("1.").ok_or(VersionError::Form)?;
        Ok(Self(minor.parse()?))
    }
}
