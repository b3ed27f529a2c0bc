use axum::{Router, extract::State, routing::post};
use longshore_api::volume::VolumesPruned;
use longshore_engine::volume::Volumes;

use super::{
    super::{body::Json, error::Failure, query::Query, version::Requested},
    blocking,
};
use crate::app::App;

/// The first version that prunes only what nobody named, unless it is told otherwise.
const ANONYMOUS_ALONE: u16 = 42;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/volumes/prune", post(prune))
}

async fn prune(
    State(volumes): State<Volumes>,
    Requested(version): Requested,
    query: Query,
) -> Result<Json<VolumesPruned>, Failure> {
    let mut filters = query.filters()?;
    if !version.is_from(ANONYMOUS_ALONE) {
        filters.add("all", "true");
    }
    let pruned = blocking(&volumes, move |volumes| volumes.prune(&filters)).await?;
    Ok(Json(VolumesPruned { volumes_deleted: pruned.names, space_reclaimed: pruned.reclaimed }))
}
