//! What every request goes through: its version and path before the routes, the headers of every answer after them.

use std::{borrow::Cow, panic::AssertUnwindSafe, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use longshore_api::Version;
use tower::ServiceExt;
use tracing::Instrument;

use super::{
    error::Failure,
    path,
    version::{self, Requested},
};
use crate::metrics;

/// The longest path with its query.
const LONGEST: usize = 64 << 10;

/// Answers a request. Nothing that a route does ends the daemon.
pub(crate) async fn answer(router: Router, mut request: Request) -> Response {
    let begun = Instant::now();
    let mut action = None;
    let span = tracing::debug_span!("request", method = %request.method(), path = request.uri().path());
    let route = async {
        match prepare(&mut request) {
            Ok(()) => {
                action = metrics::action(request.method(), request.uri().path());
                route(router, request).await
            }
            Err(failure) => failure.into_response(),
        }
    };
    let mut response = match AssertUnwindSafe(route).catch_unwind().instrument(span).await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!("a route panicked");
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the daemon has a fault: see its log")
                .into_response()
        }
    };
    decorate(response.headers_mut());
    metrics::answered(response.status().as_u16(), action, begun.elapsed());
    response
}

async fn route(router: Router, request: Request) -> Response {
    let Ok(response) = router.oneshot(request).await;
    // Docker has no routes by method: what is not there for this one is not there.
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return page_not_found().into_response();
    }
    response
}

pub(super) fn page_not_found() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "page not found")
}

/// Takes the version from the path, and makes names one segment each.
fn prepare(request: &mut Request<Body>) -> Result<(), Failure> {
    let uri = request.uri();
    let path = uri.path();
    if uri.path_and_query().map_or(0, |whole| whole.as_str().len()) > LONGEST {
        return Err(Failure::new(StatusCode::URI_TOO_LONG, format!("a path has at most {LONGEST} bytes")));
    }
    if !path::is_text(path) {
        return Err(Failure::bad("the path is no text"));
    }
    let (version, rest) = version::split(path)?;
    let rest = path::one_segment_per_name(request.method(), rest);
    if request.method() == Method::HEAD && rest != "/_ping" && !rest.ends_with("/archive") {
        return Err(page_not_found());
    }
    if rest.len() != path.len() || matches!(rest, Cow::Owned(_)) {
        let whole = match uri.query() {
            Some(query) => format!("{rest}?{query}"),
            None => rest.into_owned(),
        };
        let whole = PathAndQuery::try_from(whole).map_err(|_| page_not_found())?;
        *request.uri_mut() = Uri::from(whole);
    }
    request.extensions_mut().insert(Requested(version));
    Ok(())
}

/// Adds what Docker says with every answer.
fn decorate(headers: &mut HeaderMap) {
    let fixed = [
        (HeaderName::from_static("docker-experimental"), HeaderValue::from_static("false")),
        (HeaderName::from_static("ostype"), HeaderValue::from_static("linux")),
        (
            header::SERVER,
            HeaderValue::from_static(concat!("Longshore/", env!("CARGO_PKG_VERSION"), " (linux)")),
        ),
    ];
    headers.extend(fixed);
    if let Ok(version) = HeaderValue::try_from(Version::NEWEST.to_string()) {
        headers.insert(HeaderName::from_static("api-version"), version);
    }
}
