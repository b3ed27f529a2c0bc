use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::delete,
};
use longshore_engine::volume::Volumes;

use super::{
    super::{error::Failure, query::Query},
    blocking,
};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/volumes/{name}", delete(remove))
}

async fn remove(
    State(volumes): State<Volumes>,
    Path(name): Path<String>,
    query: Query,
) -> Result<StatusCode, Failure> {
    let force = query.flag("force");
    blocking(&volumes, move |volumes| volumes.remove(&name, force)).await?;
    Ok(StatusCode::NO_CONTENT)
}
