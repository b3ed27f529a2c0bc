//! Versions of the API: `1.24` to `1.55`.

use std::{fmt, str::FromStr};

/// A version of the API. The first number is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16);

impl Version {
    /// The oldest that is served.
    pub const OLDEST: Self = Self(24);
    /// The newest, and what a path without one means.
    pub const NEWEST: Self = Self(55);

    /// Whether it is this one or newer.
    #[must_use]
    pub fn is_from(self, minor: u16) -> bool {
        self.0 >= minor
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// Why a version is not served. Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error("{0:?} is no version: a version is 1.N")]
    Form(String),
    #[error(
        "client version {0} is too old. Minimum supported API version is {min}, please upgrade your client to a \
         newer version",
        min = Version::OLDEST
    )]
    TooOld(String),
    #[error("client version {0} is too new. Maximum supported API version is {max}", max = Version::NEWEST)]
    TooNew(String),
}

impl FromStr for Version {
    type Err = VersionError;

    /// Reads any digits and dots, as Docker does: what is missing is 0, and only the first two numbers matter.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_form = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if text.is_empty() || !is_form {
            return Err(VersionError::Form(text.into()));
        }
        // Longer than any number is as good as any large one.
        let mut numbers = text
            .split('.')
            .map(|digits| if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u16::MAX) });
        let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        match (major, Self(minor)) {
            (0, _) => Err(VersionError::TooOld(text.into())),
            (1, minor) if minor < Self::OLDEST => Err(VersionError::TooOld(text.into())),
            (1, minor) if minor <= Self::NEWEST => Ok(minor),
            _ => Err(VersionError::TooNew(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_docker_reads_them() {
        for (text, expected) in [("1.24", 24), ("1.55", 55), ("1.40.7", 40), ("01.041", 41)] {
            assert_eq!(text.parse(), Ok(Version(expected)), "{text}");
        }
        for text in ["0.0", "1.23", "1", "1.", "0", ".", "1..41", "1.0.99", "0.99999"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError::TooOld(text.into())), "{text}");
        }
        for text in ["1.56", "2", "2.0", "1.99999999999", "99999999999999999999.1", "1.65535", "1.65536"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError::TooNew(text.into())), "{text}");
        }
        for text in ["", "x", "1.x", "-1.40", "1,40", "1.40 ", "\u{0661}.40"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError::Form(text.into())), "{text}");
        }
    }

    #[test]
    fn what_is_not_served_is_told_in_dockers_words() {
        let old = "1.23".parse::<Version>().expect_err("old").to_string();
        assert_eq!(
            old,
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to \
             a newer version"
        );
        let new = "1.56".parse::<Version>().expect_err("new").to_string();
        assert_eq!(new, "client version 1.56 is too new. Maximum supported API version is 1.55");
    }
}
