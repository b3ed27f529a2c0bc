use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::post,
};
use longshore_engine::container::Containers;

use super::{super::error::Failure, stop::Options};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/restart", post(restart))
}

async fn restart(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    Query(options): Query<Options>,
) -> Result<StatusCode, Failure> {
    let stop = options.try_into()?;
    let container = containers.find(&id)?;
    containers.restart(&container, stop).await?;
    Ok(StatusCode::NO_CONTENT)
}
