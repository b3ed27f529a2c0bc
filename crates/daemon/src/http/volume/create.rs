use axum::{Router, extract::State, http::StatusCode, routing::post};
use longshore_api::volume::{Volume, VolumeCreate};
use longshore_engine::volume::{Create, Volumes};

use super::{
    super::{body::Json, error::Failure, version::Requested},
    blocking, shown,
};
use crate::app::App;

/// The first version with volumes of a swarm.
const CLUSTER: u16 = 42;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/volumes/create", post(create))
}

async fn create(
    State(volumes): State<Volumes>,
    Requested(version): Requested,
    Json(body): Json<VolumeCreate>,
) -> Result<(StatusCode, Json<Volume>), Failure> {
    if body.cluster_volume_spec.is_some() && version.is_from(CLUSTER) {
        let message = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, message));
    }
    let create = Create {
        name: body.name.unwrap_or_default(),
        driver: body.driver.unwrap_or_default(),
        labels: body.labels.unwrap_or_default(),
        options: body.driver_opts.unwrap_or_default(),
    };
    let volume = blocking(&volumes, move |volumes| volumes.create(create)).await?;
    Ok((StatusCode::CREATED, Json(shown(&volumes, volume))))
}
