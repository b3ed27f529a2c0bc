use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use longshore_engine::container::Containers;

use super::super::{error::Failure, query::Query};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/kill", post(kill))
}

async fn kill(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, Failure> {
    let container = containers.find(&id)?;
    containers.kill(&container, query.text("signal").unwrap_or_default()).await?;
    Ok(StatusCode::NO_CONTENT)
}
