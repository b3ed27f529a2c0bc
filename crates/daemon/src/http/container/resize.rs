//! `POST /containers/{id}/resize`: the size of a container's terminal.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use longshore_engine::{
    attach,
    container::{Containers, Error},
};
use longshore_runtime::spec::ConsoleSize;

use super::super::{error::Failure, query::Query};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/resize", post(resize))
}

async fn resize(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    query: Query,
) -> Result<StatusCode, Failure> {
    let size = size(&query)?;
    let container = containers.find(&id)?;
    if !container.record().state.phase.has_processes() {
        return Err(Error::NotRunning { id: container.id().to_string() }.into());
    }
    let resized = tokio::task::spawn_blocking(move || attach::resize(&container, size)).await;
    resized.map_err(|source| attach::Error::Task { source })??;
    Ok(StatusCode::OK)
}

/// `h` and `w` of a request.
pub(in super::super) fn size(query: &Query) -> Result<ConsoleSize, Failure> {
    let side = |name: &str, word: &str| {
        let text = query.text(name).unwrap_or_default();
        let refused = |why| Failure::bad(format!("invalid resize {word} {text:?}: {why}"));
        let side: i64 = text.parse().map_err(|_| refused("invalid syntax"))?;
        let side = u32::try_from(side).map_err(|_| refused("value out of range"))?;
        Ok::<u16, Failure>(u16::try_from(side).unwrap_or(u16::MAX))
    };
    Ok(ConsoleSize { height: side("h", "height")?, width: side("w", "width")? })
}
