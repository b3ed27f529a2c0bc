//! Pull and import.

use axum::{body::Body, extract::State, http::HeaderMap, response::Response};
use futures_util::stream;
use longshore_api::{Version, progress::Message};
use longshore_engine::image::Library;
use longshore_image::{ImportOptions, PullOptions};
use longshore_registry::Download;
use longshore_types::{Digest, Platform, Progress, Reference, progress::Silent};
use url::Url;

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
    let address = if source == "-" { None } else { Some(address(source)?) };
    let text = |name| query.text(name).unwrap_or_default().to_owned();
    let options = ImportOptions {
        repository: text("repo"),
        tag: text("tag"),
        source: source.to_owned(),
        message: text("message"),
        changes: query.texts("changes").map(str::to_owned).collect(),
        platform,
    };
    respond(move |reporter| async move {
        // Docker tells of amounts only where it downloads.
        let (input, progress): (_, Box<dyn Progress>) = match address {
            None => (Input::of(body), Box::new(Silent)),
            Some(address) => {
                let download = library.images().registry().download(&address).await;
                let download = download.map_err(|error| failure(&error.into()))?;
                reporter.send(Message::status(format!("Downloading from {address}")));
                (Input::of(downloaded(download)), Box::new(reporter.clone()))
            }
        };
        let image = blocking(move || library.import(input, &options, &*progress)).await?;
        reporter.send(Message::status(image.to_string()));
        Ok(())
    })
    .await
}

/// Where to download an archive from; without a scheme it is http.
fn address(text: &str) -> Result<Url, Failure> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let bad =
        |why: String| Failure::bad(format!("cannot import from {text:?}: {why}; use - to send it along"));
    let url = Url::parse(&whole).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("it is no http or https URL".into()));
    }
    Ok(url)
}

fn downloaded(download: Download) -> Body {
    Body::from_stream(stream::unfold(Some(download), async |download| {
        let mut download = download?;
        match download.next().await {
            Ok(piece) => Some((Ok(piece?), Some(download))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::{address, pulled};

    #[test]
    fn archives_are_downloaded_by_http() {
        assert_eq!(address("http://h:1/a%2Fb.tar").unwrap().as_str(), "http://h:1/a%2Fb.tar");
        assert_eq!(address("127.0.0.1:1/a").unwrap().as_str(), "http://127.0.0.1:1/a");
        for text in ["%2Fdata%2Ffile.tar", "", "file:///etc/passwd", "unix:///x", "http://"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

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
