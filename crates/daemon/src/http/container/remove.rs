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
    let container = containers.find(&id)?;
    if query.flag("link") {
        return Err(Failure::bad(format!("No such link: {id}: links are not names of their own here")));
    }
    let remove = Remove { force: query.flag("force"), volumes: query.flag("v") };
    containers.remove(&container, remove).await?;
    Ok(StatusCode::NO_CONTENT)
}
