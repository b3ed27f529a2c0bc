//! `POST /exec/{id}/resize`.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use longshore_engine::exec::Execs;

use super::super::{container::size, error::Failure, query::Query};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/exec/{id}/resize", post(resize))
}

async fn resize(
    State(execs): State<Execs>,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, Failure> {
    let size = size(&query)?;
    execs.find(&id)?.resize(size)?;
    Ok(StatusCode::OK)
}
