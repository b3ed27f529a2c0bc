//! `/swarm`, `/nodes`, `/services`, `/tasks`, `/secrets`, `/configs`: this engine is in no swarm, and answers as Docker
//! does then.

use axum::{
    Router,
    http::StatusCode,
    routing::{delete, get, post},
};

use super::error::Failure;
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    let one = || get(no_manager).delete(no_manager);
    Router::new()
        .route("/swarm", get(no_manager))
        .route("/swarm/init", post(no_swarm))
        .route("/swarm/join", post(no_swarm))
        .route("/swarm/leave", post(no_member))
        .route("/swarm/update", post(no_manager))
        .route("/swarm/unlockkey", get(no_manager))
        .route("/swarm/unlock", post(no_manager))
        .route("/nodes", get(no_manager))
        .route("/nodes/{id}", one())
        .route("/nodes/{id}/update", post(no_manager))
        .route("/services", get(no_manager))
        .route("/services/create", post(no_manager))
        .route("/services/{id}", one())
        .route("/services/{id}/update", post(no_manager))
        .route("/services/{id}/logs", get(no_manager))
        .route("/tasks", get(no_manager))
        .route("/tasks/{id}", get(no_manager))
        .route("/tasks/{id}/logs", get(no_manager))
        .route("/secrets", get(no_manager))
        .route("/secrets/create", post(no_manager))
        .route("/secrets/{id}", one())
        .route("/secrets/{id}/update", post(no_manager))
        .route("/configs", get(no_manager))
        .route("/configs/create", post(no_manager))
        .route("/configs/{id}", get(no_manager))
        .route("/configs/{id}", delete(no_manager))
        .route("/configs/{id}/update", post(no_manager))
}

async fn no_manager() -> Failure {
    let message = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect \
                   this node to swarm and try again.";
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, message)
}

async fn no_member() -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "This node is not part of a swarm")
}

async fn no_swarm() -> Failure {
    Failure::new(StatusCode::NOT_IMPLEMENTED, "this engine has no swarm mode")
}
