use axum::http::{HeaderName, header};
use longshore_api::Version;

/// Says that the daemon is there, and what it speaks.
pub(super) async fn ping() -> ([(HeaderName, String); 3], &'static str) {
    let headers = [
        (HeaderName::from_static("api-version"), Version::NEWEST.to_string()),
        (HeaderName::from_static("ostype"), "linux".into()),
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate".into()),
    ];
    (headers, "OK")
}
