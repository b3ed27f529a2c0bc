use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing::post,
};
use longshore_api::container::{CreateRequest, CreateResponse};
use longshore_engine::container::{Containers, Create};
use longshore_types::Platform;
use serde::Deserialize;

use super::super::error::Failure;
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/create", post(create))
}

#[derive(Debug, Deserialize)]
struct Options {
    name: Option<String>,
    platform: Option<String>,
}

async fn create(
    State(containers): State<Containers>,
    Query(options): Query<Options>,
    Json(request): Json<CreateRequest>,
) -> Result<(StatusCode, Json<CreateResponse>), Failure> {
    let platform = options.platform.as_deref().filter(|platform| !platform.is_empty());
    let platform = platform.map(|text| text.parse::<Platform>()).transpose();
    let create = Create {
        name: options.name,
        platform: platform.map_err(|error| Failure::bad(longshore_engine::line(&error)))?,
        config: request.config,
        host: request.host_config.unwrap_or_default(),
        networking: request.networking_config.unwrap_or_default(),
    };
    let created = containers.create(create).await?;
    let response = CreateResponse { id: created.container.id().to_string(), warnings: created.warnings };
    Ok((StatusCode::CREATED, Json(response)))
}
