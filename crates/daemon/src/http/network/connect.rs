use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use longshore_api::network::Connect;
use longshore_engine::container::Containers;

use crate::http::{body::Json, error::Failure};

/// Puts a container on a network.
pub(super) async fn connect(
    State(containers): State<Containers>,
    Path(network): Path<String>,
    Json(asked): Json<Connect>,
) -> Result<StatusCode, Failure> {
    let container = containers.find(&asked.container)?;
    containers.connect(&container, &network, asked.endpoint_config.unwrap_or_default()).await?;
    Ok(StatusCode::OK)
}
