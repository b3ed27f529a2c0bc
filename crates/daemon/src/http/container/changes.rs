//! `docker diff`.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use longshore_api::archive::Change;
use longshore_engine::{changes, container::Containers};

use super::pipe;
use crate::{app::App, http::error::Failure};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/changes", get(list))
}

/// `null` where nothing changed, as in Docker.
async fn list(
    State(containers): State<Containers>,
    Path(id): Path<String>,
) -> Result<Json<Option<Vec<Change>>>, Failure> {
    let container = containers.find(&id)?;
    let snapshot = container.record().snapshot;
    let found = pipe::blocking(move || changes::list(containers.images().store(), snapshot)).await?;
    let shown = |change: changes::Change| Change {
        path: change.path.to_string_lossy().into_owned(),
        kind: change.kind as u8,
    };
    let found: Vec<Change> = found.into_iter().map(shown).collect();
    Ok(Json((!found.is_empty()).then_some(found)))
}
