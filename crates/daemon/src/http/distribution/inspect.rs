use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use longshore_api::image::Distribution;
use longshore_engine::image::Library;
use longshore_types::Reference;

use crate::http::{
    error::Failure,
    image::{credentials, failure},
};

/// Asks the registry of a name what it has, without pulling it.
pub(super) async fn inspect(
    State(library): State<Library>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Distribution>, Failure> {
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest(name.strip_prefix("sha256:").unwrap_or(&name)) {
        return Err(Failure::bad("no manifest found for full image ID"));
    }
    let name = Reference::parse(&name).map_err(|error| failure(&error.into()))?;
    let credentials = credentials(&headers)?;
    let found = library.images().remote(&name, credentials).await.map_err(|error| failure(&error))?;
    let platforms = Some(found.platforms).filter(|platforms| !platforms.is_empty());
    Ok(Json(Distribution { descriptor: found.descriptor, platforms }))
}
