use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use longshore_engine::image::Library;

use super::{Failure, blocking};
use crate::http::query::Query;

/// Gives an image another name.
pub(super) async fn tag(
    State(library): State<Library>,
    Path(name): Path<String>,
    query: Query,
) -> Result<StatusCode, Failure> {
    let repository = query.text("repo").unwrap_or_default().to_owned();
    let tag = query.text("tag").unwrap_or_default().to_owned();
    let is_algorithm =
        longshore_image::new_tag(&repository, &tag).is_ok_and(|name| name.familiar_repository() == "sha256");
    if is_algorithm {
        return Err(Failure::bad("refusing to create an ambiguous tag using digest algorithm as name"));
    }
    blocking(move || library.tag(&name, &repository, &tag)).await?;
    Ok(StatusCode::CREATED)
}
