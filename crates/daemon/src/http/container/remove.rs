use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::delete,
};
use longshore_engine::container::{Containers, Remove};

use super::super::{error::Failure, query::Query};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}", delete(remove))
}

async fn remove(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, Failure> {
    if query.flag("link") {
        containers.unlink(&id).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let container = containers.find(&id)?;
    let remove = Remove { force: query.flag("force"), volumes: query.flag("v") };
    containers.remove(&container, remove).await?;
    Ok(StatusCode::NO_CONTENT)
}
