use axum::{Router, extract::State, routing::get};
use longshore_api::volume::VolumeList;
use longshore_engine::volume::Volumes;

use super::{
    super::{body::Json, error::Failure, query::Query},
    shown,
};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/volumes", get(list))
}

async fn list(State(volumes): State<Volumes>, query: Query) -> Result<Json<VolumeList>, Failure> {
    let found = volumes.list(&query.filters()?)?;
    let found = found.into_iter().map(|volume| shown(&volumes, volume)).collect();
    Ok(Json(VolumeList { volumes: found, warnings: None }))
}
