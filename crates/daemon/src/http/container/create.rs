use axum::{Router, extract::State, http::StatusCode, routing::post};
use longshore_api::{
    Version,
    container::{CreateRequest, CreateResponse},
};
use longshore_engine::container::{Containers, Create};
use longshore_types::Platform;

use super::super::{body::Json, error::Failure, query::Query, version::Requested};
use crate::app::App;

/// What bodies without a document are answered with elsewhere, and here.
const NOTHING: &str = "invalid JSON: got EOF while reading request body";
const EOF: &str = "invalid JSON: EOF";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/create", post(create))
}

async fn create(
    State(containers): State<Containers>,
    Requested(version): Requested,
    query: Query,
    request: Result<Json<Option<CreateRequest>>, Failure>,
) -> Result<(StatusCode, Json<CreateResponse>), Failure> {
    let request = match request {
        Ok(Json(request)) => request.ok_or_else(|| Failure::bad(EOF))?,
        Err(failure) if failure.message == NOTHING => return Err(Failure::bad(EOF)),
        Err(failure) => return Err(failure),
    };
    let unified = version >= Version(41) || containers.host()?.unified();
    let request = request.newest(version, unified);
    let mut request = request.map_err(|error| Failure::bad(error.to_string()))?;
    let warning = request.settle_networks(version).map_err(|error| Failure::bad(error.to_string()))?;
    let platform = query.word("platform").filter(|_| version >= Version(41));
    let platform = platform.map(|text| text.parse::<Platform>()).transpose();
    let create = Create {
        name: query.word("name").map(str::to_owned),
        platform: platform.map_err(|error| Failure::bad(longshore_engine::line(&error)))?,
        config: request.config,
        host: request.host_config.unwrap_or_default(),
        networking: request.networking_config.unwrap_or_default(),
        shallow_read_only: version < CreateRequest::RECURSIVE,
    };
    let mut created = containers.create(create).await?;
    created.warnings.extend(warning.map(str::to_owned));
    let response = CreateResponse { id: created.container.id().to_string(), warnings: created.warnings };
    Ok((StatusCode::CREATED, Json(response)))
}
