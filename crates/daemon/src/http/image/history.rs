use axum::{
    Json,
    extract::{Path, State},
};
use longshore_api::{Version, image::HistoryItem};
use longshore_engine::image::Library;
use longshore_types::Reference;

use super::{Failure, blocking, platform};
use crate::http::{query::Query, version::Requested};

/// Tells how an image came to be.
pub(super) async fn history(
    State(library): State<Library>,
    Path(name): Path<String>,
    Requested(version): Requested,
    query: Query,
) -> Result<Json<Vec<HistoryItem>>, Failure> {
    let platform = if version >= Version(48) { platform::one(&query)? } else { None };
    blocking(move || {
        let steps = library.images().history(&name, platform.as_ref())?.into_iter();
        let shown = steps.map(|step| HistoryItem {
            comment: step.comment,
            created: step.created,
            created_by: step.created_by,
            id: step.id.map_or_else(|| "<missing>".to_owned(), |id| id.to_string()),
            size: step.size,
            tags: Some(step.tags.iter().map(Reference::familiar).collect::<Vec<_>>())
                .filter(|tags| !tags.is_empty()),
        });
        Ok(Json(shown.collect()))
    })
    .await
}
