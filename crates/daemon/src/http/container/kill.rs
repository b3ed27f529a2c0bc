use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::post,
};
use longshore_engine::container::Containers;
use serde::Deserialize;

use super::super::error::Failure;
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/kill", post(kill))
}

#[derive(Debug, Deserialize)]
struct Options {
    #[serde(default)]
    signal: String,
}

async fn kill(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    Query(options): Query<Options>,
) -> Result<StatusCode, Failure> {
    let container = containers.find(&id)?;
    containers.kill(&container, &options.signal).await?;
    Ok(StatusCode::NO_CONTENT)
}
