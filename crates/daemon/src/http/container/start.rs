use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use longshore_engine::container::{Containers, Effect};

use super::super::error::Failure;
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/start", post(start))
}

async fn start(State(containers): State<Containers>, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    let container = containers.find(&id)?;
    Ok(match containers.start(&container).await? {
        Effect::Done => StatusCode::NO_CONTENT,
        Effect::Nothing => StatusCode::NOT_MODIFIED,
    })
}
