//! The routes. One folder is one resource, one file one operation; what they have in common is here.

#[allow(dead_code, reason = "not every part is used by a route yet")]
mod body;
mod container;
mod distribution;
mod error;
mod event;
mod exec;
mod front;
#[allow(dead_code, reason = "not every part is used by a route yet")]
mod hijack;
mod image;
mod network;
mod path;
mod plugin;
#[allow(dead_code, reason = "not every part is used by a route yet")]
mod query;
mod swarm;
mod system;
mod version;
mod volume;

use axum::Router;

use crate::app::App;
pub(crate) use front::answer;

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
        .fallback(async || front::page_not_found())
        .with_state(app)
}
