//! `/plugins/…`: this engine has none, and answers as Docker does then.

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::Value;

use super::{body::Json, error::Failure, query::Query};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/plugins", get(list))
        .route("/plugins/privileges", get(no_plugins))
        .route("/plugins/pull", post(no_plugins))
        .route("/plugins/create", post(no_plugins))
        .route("/plugins/{name}", axum::routing::delete(not_found))
        .route("/plugins/{name}/json", get(not_found))
        .route("/plugins/{name}/enable", post(not_found))
        .route("/plugins/{name}/disable", post(not_found))
        .route("/plugins/{name}/upgrade", post(not_found))
        .route("/plugins/{name}/push", post(not_found))
        .route("/plugins/{name}/set", post(not_found))
}

async fn list(query: Query) -> Result<Json<Vec<Value>>, Failure> {
    query.filters()?.check(&["enabled", "capability"])?;
    Ok(Json(Vec::new()))
}

async fn not_found(Path(name): Path<String>) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("plugin {name:?} not found"))
}

async fn no_plugins() -> Failure {
    Failure::new(StatusCode::NOT_IMPLEMENTED, "this engine has no plugins")
}
