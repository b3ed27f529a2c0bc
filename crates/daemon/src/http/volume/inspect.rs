use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use longshore_api::volume::Volume;
use longshore_engine::volume::Volumes;

use super::{
    super::{body::Json, error::Failure},
    shown,
};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/volumes/{name}", get(inspect))
}

async fn inspect(State(volumes): State<Volumes>, Path(name): Path<String>) -> Result<Json<Volume>, Failure> {
    let volume = volumes.inspect(&name)?;
    Ok(Json(shown(&volumes, volume)))
}
