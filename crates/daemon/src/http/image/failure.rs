//! What goes wrong with images, as Docker answers it.

use axum::http::{HeaderMap, StatusCode};
use longshore_image::Error;
use longshore_registry::Credentials;
use longshore_types::Kind;

use super::Failure;

/// The header with the credentials for a registry.
const AUTH: &str = "x-registry-auth";

/// The answer to an error. What a registry or the way to it did is an error of the server, as Docker has it: 503 would
/// say that it is this one that is not there.
pub(in crate::http) fn failure(error: &Error) -> Failure {
    let message = error.line();
    match (registry(error), error.kind()) {
        (true, Kind::Unavailable | Kind::Timeout | Kind::PermissionDenied) => {
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message)
        }
        (_, kind) => Failure::of(kind, message),
    }
}

/// Whether a registry is to blame.
fn registry(error: &Error) -> bool {
    match error {
        Error::Registry(_) => true,
        Error::Shared(error) => registry(error),
        _ => false,
    }
}

/// Does work that blocks.
pub(in crate::http) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| failure(&error)),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(failure(&Error::ShuttingDown)),
        },
    }
}

/// The credentials that a request brings.
pub(in crate::http) fn credentials(headers: &HeaderMap) -> Result<Credentials, Failure> {
    let Some(value) = headers.get(AUTH) else { return Ok(Credentials::Anonymous) };
    let wrong = |text: String| Failure::bad(format!("invalid X-Registry-Auth header: {text}"));
    let value = value.to_str().map_err(|_| wrong("not a word".into()))?;
    Credentials::from_header(value).map_err(|error| wrong(error.to_string()))
}
