use std::collections::HashMap;

use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::delete,
};
use longshore_engine::container::{Containers, Remove};

use super::{super::error::Failure, is_true};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}", delete(remove))
}

async fn remove(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    Query(options): Query<HashMap<String, String>>,
) -> Result<StatusCode, Failure> {
    let container = containers.find(&id)?;
    if is_true(options.get("link")) {
        return Err(Failure::bad(format!("No such link: {id}: links are not names of their own here")));
    }
    let remove = Remove { force: is_true(options.get("force")), volumes: is_true(options.get("v")) };
    containers.remove(&container, remove).await?;
    Ok(StatusCode::NO_CONTENT)
}
