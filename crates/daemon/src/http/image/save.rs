use std::io::Write;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use longshore_api::Version;
use longshore_engine::image::Library;
use longshore_image::SaveOptions;

use super::{
    Failure, failure,
    pipe::{self, Output},
    platform,
};
use crate::http::{query::Query, version::Requested};

/// Writes an archive of one image.
pub(super) async fn one(
    State(library): State<Library>,
    Path(name): Path<String>,
    Requested(version): Requested,
    query: Query,
) -> Result<Response, Failure> {
    save(library, vec![name], version, &query).await
}

/// Writes an archive of several images.
pub(super) async fn several(
    State(library): State<Library>,
    Requested(version): Requested,
    query: Query,
) -> Result<Response, Failure> {
    let names = query.texts("names").map(str::to_owned).collect();
    save(library, names, version, &query).await
}

async fn save(
    library: Library,
    names: Vec<String>,
    version: Version,
    query: &Query,
) -> Result<Response, Failure> {
    let platform = if version >= Version(48) { platform::at_most_one(query, "platform")? } else { None };
    let options = SaveOptions { platform };
    let (mut output, mut pieces) = Output::new();
    let work = tokio::task::spawn_blocking(move || {
        let done = library.save(&names, &options, &mut output);
        let written = match &done {
            Ok(()) => output.flush().map_err(|error| error.to_string()),
            Err(error) => Err(error.line()),
        };
        // Whoever reads must see that it is not whole. One who has left sees nothing.
        match written {
            Ok(()) => {}
            Err(message) => output.fail(message),
        }
        done
    });
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"))];
    match pieces.recv().await {
        Some(Ok(first)) => Ok((kind, pipe::body(first, pieces)).into_response()),
        // It failed before the first byte, or there was nothing to write.
        Some(Err(_)) | None => match work.await {
            Ok(Ok(())) => Ok((kind, Body::empty()).into_response()),
            Ok(Err(error)) => Err(failure(&error)),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(failure(&longshore_image::Error::ShuttingDown)),
            },
        },
    }
}
