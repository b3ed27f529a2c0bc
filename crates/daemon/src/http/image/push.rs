use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use longshore_api::Version;
use longshore_engine::image::Library;
use longshore_image::PushOptions;
use longshore_types::Reference;

use super::{Failure, credentials, failure, platform, transfer::respond};
use crate::http::{query::Query, version::Requested};

/// Pushes a tag, or all tags of a name.
pub(super) async fn push(
    State(library): State<Library>,
    Path(name): Path<String>,
    Requested(version): Requested,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let platform = if version >= Version(46) { platform::one(&query)? } else { None };
    let options = PushOptions { platform, credentials: credentials(&headers)? };
    let name = Reference::parse(&name).map_err(|error| failure(&error.into()))?;
    let tag = query.word("tag").map(|tag| name.without_version().with_tag(tag)).transpose();
    let tag = tag.map_err(|error| failure(&error.into()))?;
    respond(move |reporter| async move {
        let done = match tag {
            Some(name) => library.push(&name, &options, &reporter).await.map(drop),
            None => library.push_all(&name, &options, &reporter).await.map(drop),
        };
        done.map_err(|error| failure(&error))
    })
    .await
}
