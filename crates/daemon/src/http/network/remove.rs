use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use longshore_engine::network::Networks;

use super::blocking;
use crate::http::error::Failure;

/// Removes a network.
pub(super) async fn remove(
    State(networks): State<Networks>,
    Path(word): Path<String>,
) -> Result<StatusCode, Failure> {
    blocking(move || networks.remove(&word)).await?;
    Ok(StatusCode::NO_CONTENT)
}
