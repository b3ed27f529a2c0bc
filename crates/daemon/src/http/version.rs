//! The version in front of a path, and the one that a request means.

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use longshore_api::{Version, version::VersionError};
use std::convert::Infallible;

use super::error::Failure;

/// The version of the API that a request is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requested(pub(crate) Version);

impl<S: Sync> FromRequestParts<S> for Requested {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(Version::NEWEST)))
    }
}

/// Parts `/v1.NN/…` into the version and the path behind it.
pub(super) fn split(path: &str) -> Result<(Version, &str), Failure> {
    let Some((digits, _)) = path.strip_prefix("/v").and_then(|rest| rest.split_once('/')) else {
        return Ok((Version::NEWEST, path));
    };
    match digits.parse() {
        Ok(version) => Ok((version, &path[digits.len() + 2..])),
        // A path like any other.
        Err(VersionError::Form(_)) => Ok((Version::NEWEST, path)),
        Err(error) => Err(Failure::new(StatusCode::BAD_REQUEST, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_taken_from_the_front() {
        let split = |path| split(path).expect(path);
        assert_eq!(split("/v1.40/containers/json"), (Version(40), "/containers/json"));
        assert_eq!(split("/containers/json"), (Version::NEWEST, "/containers/json"));
        assert_eq!(split("/version"), (Version::NEWEST, "/version"));
        assert_eq!(split("/volumes/x"), (Version::NEWEST, "/volumes/x"));
        assert_eq!(split("/v/info"), (Version::NEWEST, "/v/info"));
        assert_eq!(split("/v1.40"), (Version::NEWEST, "/v1.40"));
        assert_eq!(split("/v1.x/info"), (Version::NEWEST, "/v1.x/info"));
    }

    #[test]
    fn what_is_not_served_is_refused() {
        for path in ["/v0.0/info", "/v1.23/info", "/v1.56/info", "/v1.99999999999/info", "/v1/info"] {
            assert_eq!(split(path).expect_err(path).status, StatusCode::BAD_REQUEST);
        }
    }
}
