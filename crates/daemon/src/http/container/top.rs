//! `docker top`.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use longshore_api::archive::Top;
use longshore_engine::{container::Containers, top};

use super::pipe;
use crate::{
    app::App,
    http::{error::Failure, query::Query},
};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/top", get(list))
}

async fn list(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Top>, Failure> {
    let container = containers.find(&id)?;
    let arguments = query.text("ps_args").unwrap_or_default().to_owned();
    let found = pipe::blocking(move || {
        let found = container.top(&arguments)?;
        container.publish(containers.events(), "top", []);
        Ok::<_, top::Error>(found)
    })
    .await?;
    Ok(Json(Top { processes: found.processes, titles: found.titles }))
}
