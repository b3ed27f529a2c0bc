use axum::{Router, http::StatusCode, routing::put};

use super::super::error::Failure;
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/volumes/{name}", put(update))
}

/// Volumes of a swarm alone can be changed.
async fn update() -> Failure {
    let message = "volume update only valid for cluster volumes, but swarm is unavailable";
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, message)
}
