use axum::{extract::State, http::StatusCode};
use longshore_api::network::Created;
use longshore_engine::network::{Create, Networks};

use super::blocking;
use crate::http::{body::Json, error::Failure};

/// Makes a network.
pub(super) async fn create(
    State(networks): State<Networks>,
    Json(asked): Json<Create>,
) -> Result<(StatusCode, Json<Created>), Failure> {
    let made = blocking(move || networks.create(asked)).await?;
    Ok((StatusCode::CREATED, Json(Created { id: made.id, warning: String::new() })))
}
