use axum::{
    Router,
    extract::{Path, State},
    routing::post,
};
use longshore_api::container::{UpdateResponse, newest_update};
use longshore_engine::container::Containers;
use longshore_types::container::HostConfig;

use super::super::{body::Json, error::Failure, version::Requested};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/update", post(update))
}

async fn update(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    Requested(version): Requested,
    Json(changes): Json<HostConfig>,
) -> Result<Json<UpdateResponse>, Failure> {
    let container = containers.find(&id)?;
    let warnings = containers.reconfigure(&container, newest_update(changes, version)).await?;
    Ok(Json(UpdateResponse { warnings }))
}
