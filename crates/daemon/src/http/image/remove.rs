use axum::{
    Json,
    extract::{Path, State},
};
use longshore_api::image::Deleted;
use longshore_engine::image::Library;
use longshore_image::{RemoveOptions, Step};

use super::{Failure, blocking, platform};
use crate::http::query::Query;

/// Removes a name, or an image.
pub(super) async fn remove(
    State(library): State<Library>,
    Path(name): Path<String>,
    query: Query,
) -> Result<Json<Vec<Deleted>>, Failure> {
    if name.trim().is_empty() {
        return Err(Failure::bad("image name cannot be blank"));
    }
    if platform::at_most_one(&query, "platforms")?.is_some() {
        return Err(Failure::bad(
            "removing one platform of an image is not supported: remove the image, or one by its ID",
        ));
    }
    let options = RemoveOptions { force: query.flag("force"), no_prune: query.flag("noprune") };
    let removed = blocking(move || library.remove(&name, options)).await?;
    Ok(Json(deleted(&removed.steps)))
}

/// The steps of a removal as they are shown.
pub(super) fn deleted(steps: &[Step]) -> Vec<Deleted> {
    let shown = steps.iter().map(|step| match step {
        Step::Untagged(name) => Deleted::Untagged(name.familiar()),
        Step::Deleted(image) => Deleted::Deleted(image.to_string()),
        Step::DeletedLayer(chain) => Deleted::Deleted(chain.to_string()),
    });
    shown.collect()
}
