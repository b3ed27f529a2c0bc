use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use longshore_engine::container::Containers;

use super::super::error::Failure;
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/pause", post(pause))
}

async fn pause(State(containers): State<Containers>, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    let container = containers.find(&id)?;
    containers.pause(&container).await?;
    Ok(StatusCode::NO_CONTENT)
}
