use axum::{Json, extract::State};
use longshore_api::image::Pruned;
use longshore_engine::image::Library;
use longshore_image::PruneOptions;

use super::{Failure, blocking, list::parse_filters, remove::deleted};
use crate::http::query::Query;

/// Removes images that nobody needs.
pub(super) async fn prune(State(library): State<Library>, query: Query) -> Result<Json<Pruned>, Failure> {
    let options = PruneOptions { filters: parse_filters(&query)?, ..PruneOptions::default() };
    let pruned = blocking(move || library.prune(&options)).await?;
    let steps = deleted(&pruned.steps);
    let images_deleted = Some(steps).filter(|steps| !steps.is_empty());
    Ok(Json(Pruned { images_deleted, space_reclaimed: pruned.freed }))
}
