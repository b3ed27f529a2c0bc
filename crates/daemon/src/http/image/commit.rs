use axum::{extract::State, http::StatusCode};
use longshore_api::image::Made;
use longshore_engine::{commit::Request, image::Library};
use longshore_types::container::Config;

use super::Failure;
use crate::http::{body::Json, query::Query};

/// Makes an image of a container.
pub(super) async fn commit(
    State(library): State<Library>,
    query: Query,
    Json(config): Json<Option<Config>>,
) -> Result<(StatusCode, axum::Json<Made>), Failure> {
    let text = |name| query.text(name).unwrap_or_default().to_owned();
    let container = text("container");
    let request = Request {
        repository: text("repo"),
        tag: text("tag"),
        author: text("author"),
        comment: text("comment"),
        changes: query.texts("changes").flat_map(str::lines).map(str::to_owned).collect(),
        config,
        pause: query.flag_or("pause", true),
        engine: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let image = library.commit(&container, request).await.map_err(|error| match error {
        longshore_engine::commit::Error::Image(error) => super::failure(&error),
        error => Failure::of(error.kind(), longshore_engine::line(&error)),
    })?;
    Ok((StatusCode::CREATED, axum::Json(Made { id: image.to_string() })))
}
