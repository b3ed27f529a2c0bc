//! The routes. One folder is one resource, one file one operation; what they have in common is here.

mod container;
mod distribution;
mod error;
mod event;
mod exec;
mod image;
mod network;
mod plugin;
mod swarm;
mod system;
mod volume;

use axum::Router;

use crate::app::App;

/// All routes, without the version in front.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .merge(container::routes())
        .merge(distribution::routes())
        .merge(event::routes())
        .merge(exec::routes())
        .merge(image::routes())
        .merge(network::routes())
        .merge(plugin::routes())
        .merge(swarm::routes())
        .merge(system::routes())
        .merge(volume::routes())
        .fallback(page_not_found)
        .with_state(app)
}

async fn page_not_found() -> error::Failure {
    error::Failure::new(axum::http::StatusCode::NOT_FOUND, "page not found")
}
