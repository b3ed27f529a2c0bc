//! `docker export`.

use axum::{
    Router,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use longshore_engine::{container::Containers, export};

use super::pipe;
use crate::{app::App, http::error::Failure};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/export", get(download))
}

async fn download(State(containers): State<Containers>, Path(id): Path<String>) -> Result<Response, Failure> {
    let container = containers.find(&id)?;
    let tree = pipe::blocking(move || {
        let tree = export::open(&containers, &container)?;
        container.publish(containers.events(), "export", []);
        Ok::<_, export::Error>(tree)
    })
    .await?;
    let body = pipe::download(move |out| tree.write(out));
    Ok(([(header::CONTENT_TYPE, "application/x-tar")], body).into_response())
}
