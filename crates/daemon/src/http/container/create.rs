use axum::{Router, extract::State, http::StatusCode, routing::post};
use longshore_api::container::{CreateRequest, CreateResponse};
use longshore_engine::container::{Containers, Create};
use longshore_types::Platform;

use super::super::{body::Json, error::Failure, query::Query, version::Requested};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/create", post(create))
}

async fn create(
    State(containers): State<Containers>,
    Requested(version): Requested,
    query: Query,
    Json(mut request): Json<CreateRequest>,
) -> Result<(StatusCode, Json<CreateResponse>), Failure> {
    let warning = request.settle_networks(version).map_err(|error| Failure::bad(error.to_string()))?;
    let platform = query.word("platform");
    let platform = platform.map(|text| text.parse::<Platform>()).transpose();
    let create = Create {
        name: query.word("name").map(str::to_owned),
        platform: platform.map_err(|error| Failure::bad(longshore_engine::line(&error)))?,
        config: request.config,
        host: request.host_config.unwrap_or_default(),
        networking: request.networking_config.unwrap_or_default(),
    };
    let mut created = containers.create(create).await?;
    created.warnings.extend(warning.map(str::to_owned));
    let response = CreateResponse { id: created.container.id().to_string(), warnings: created.warnings };
    Ok((StatusCode::CREATED, Json(response)))
}
