use axum::http::{HeaderName, HeaderValue, header};

/// What a client learns from a ping besides the headers of every answer.
pub(super) async fn ping() -> ([(HeaderName, HeaderValue); 5], &'static str) {
    let fixed = HeaderValue::from_static;
    let headers = [
        // The classic builder: clients ask this engine to build, without sessions.
        (HeaderName::from_static("builder-version"), fixed("1")),
        (header::CACHE_CONTROL, fixed("no-cache, no-store, must-revalidate")),
        (header::PRAGMA, fixed("no-cache")),
        (HeaderName::from_static("swarm"), fixed("inactive")),
        (header::CONTENT_TYPE, fixed("text/plain; charset=utf-8")),
    ];
    (headers, "OK")
}
