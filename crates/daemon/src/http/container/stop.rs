use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use longshore_engine::container::{Containers, Effect, Stop};

use super::super::{error::Failure, query::Query};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/stop", post(stop))
}

/// How to stop, as a query says it.
pub(super) fn how(query: &Query) -> Result<Stop, Failure> {
    Ok(Stop { signal: query.word("signal").map(str::to_owned), timeout: query.number("t")? })
}

async fn stop(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, Failure> {
    let stop = how(&query)?;
    let container = containers.find(&id)?;
    Ok(match containers.stop(&container, stop).await? {
        Effect::Done => StatusCode::NO_CONTENT,
        Effect::Nothing => StatusCode::NOT_MODIFIED,
    })
}
