use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use longshore_engine::container::Containers;

use super::{
    super::{error::Failure, query::Query},
    stop::how,
};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/restart", post(restart))
}

async fn restart(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, Failure> {
    let stop = how(&query)?;
    let container = containers.find(&id)?;
    containers.restart(&container, stop).await?;
    Ok(StatusCode::NO_CONTENT)
}
