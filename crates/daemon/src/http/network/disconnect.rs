use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use longshore_api::network::Disconnect;
use longshore_engine::container::Containers;

use crate::http::{body::Json, error::Failure};

/// Takes a container from a network.
pub(super) async fn disconnect(
    State(containers): State<Containers>,
    Path(network): Path<String>,
    Json(asked): Json<Disconnect>,
) -> Result<StatusCode, Failure> {
    let container = containers.find(&asked.container)?;
    containers.disconnect(&container, &network).await?;
    Ok(StatusCode::OK)
}
