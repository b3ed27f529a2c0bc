//! Pull and import.

use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use longshore_api::{Version, progress::Message};
use longshore_engine::image::Library;
use longshore_image::{ImportOptions, PullOptions};
use longshore_types::{Digest, Platform, Reference};

use super::{Failure, blocking, credentials, failure, pipe::Input, transfer::respond};
use crate::http::{query::Query, version::Requested};

/// Pulls, or imports.
pub(super) async fn create(
    State(library): State<Library>,
    Requested(version): Requested,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let platform = query.word("platform").filter(|_| version >= Version(32)).map(Platform::parse);
    let platform = platform.transpose().map_err(|error| failure(&error.into()))?;
    match query.word("fromImage") {
        Some(name) => {
            let tag = query.text("tag").unwrap_or_default();
            let options = PullOptions { platform, credentials: credentials(&headers)? };
            pull(library, name, tag, options).await
        }
        None => import(library, &query, platform, body).await,
    }
}

async fn pull(library: Library, name: &str, tag: &str, options: PullOptions) -> Result<Response, Failure> {
    let name = pulled(name, tag)?;
    if name.familiar_repository() == "scratch" {
        return Err(Failure::bad("'scratch' is a reserved name"));
    }
    respond(move |reporter| async move {
        let done = if name.tag().is_none() && name.digest().is_none() {
            library.pull_all(&name, &options, &reporter).await.map(drop)
        } else {
            library.pull(&name, &options, &reporter).await.map(drop)
        };
        done.map_err(|error| failure(&error))
    })
    .await
}

/// The name that `fromImage` and `tag` make. Without tag and digest it is all tags.
fn pulled(name: &str, tag: &str) -> Result<Reference, Failure> {
    // Old clients send `name:` for all tags.
    let name = name.strip_suffix(':').unwrap_or(name);
    let name = Reference::parse(name).map_err(|error| failure(&error.into()))?;
    if tag.is_empty() || name.digest().is_some() {
        return Ok(name);
    }
    if let Ok(digest) = tag.parse::<Digest>() {
        return Ok(name.without_version().with_digest(digest));
    }
    name.without_version().with_tag(tag).map_err(|error| failure(&error.into()))
}

async fn import(
    library: Library,
    query: &Query,
    platform: Option<Platform>,
    body: Body,
) -> Result<Response, Failure> {
    let source = query.text("fromSrc").unwrap_or_default();
    if source != "-" {
        return Err(Failure::bad(format!(
            "cannot import from {source:?}: only from - (the body); download it and send it"
        )));
    }
    let text = |name| query.text(name).unwrap_or_default().to_owned();
    let options = ImportOptions {
        repository: text("repo"),
        tag: text("tag"),
        source: source.to_owned(),
        message: text("message"),
        changes: query.texts("changes").map(str::to_owned).collect(),
        platform,
    };
    let input = Input::of(body);
    respond(move |reporter| async move {
        // Docker tells of amounts only where it downloads.
        let silent = longshore_types::progress::Silent;
        let image = blocking(move || library.import(input, &options, &silent)).await?;
        reporter.send(Message::status(image.to_string()));
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::pulled;

    #[test]
    fn a_name_is_put_together_as_docker_does() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let with_digest = format!("a@{digest}");
        for (name, tag, whole) in [
            ("a", "1", "a:1"),
            ("a:2", "1", "a:1"),
            ("a:2", "", "a:2"),
            ("a", "", "a"),
            ("a:", "", "a"),
            ("a", digest.as_str(), with_digest.as_str()),
            (with_digest.as_str(), "1", with_digest.as_str()),
        ] {
            assert_eq!(pulled(name, tag).unwrap().familiar(), whole, "{name} {tag}");
        }
        assert!(pulled("A", "1").is_err());
        assert!(pulled("a", "!").is_err());
    }
}
