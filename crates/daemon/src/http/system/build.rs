use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::http::{body::Json, error::Failure};

/// Images are built elsewhere so far.
pub(super) async fn build() -> Failure {
    let message = "this engine does not build images yet: build elsewhere, and pull or load the image";
    Failure::new(StatusCode::NOT_IMPLEMENTED, message)
}

pub(super) async fn session() -> Failure {
    Failure::new(StatusCode::NOT_IMPLEMENTED, "this engine has no sessions of builders yet")
}

/// There is no cache, so nothing of it is removed.
pub(super) async fn prune() -> Json<Value> {
    Json(json!({ "CachesDeleted": null, "SpaceReclaimed": 0 }))
}
