use axum::{
    Json,
    extract::{Path, State},
};
use longshore_api::image::Attestation;
use longshore_engine::image::Library;

use super::{Failure, blocking, platform};
use crate::http::query::Query;

/// Tells what was stated about an image.
pub(super) async fn attestations(
    State(library): State<Library>,
    Path(name): Path<String>,
    query: Query,
) -> Result<Json<Vec<Attestation>>, Failure> {
    if query.texts("platform").count() > 1 {
        return Err(Failure::bad("only one platform value is currently supported"));
    }
    let platform = platform::one(&query)?;
    let types = query.texts("type").map(|kind| kind.trim().to_owned()).filter(|kind| !kind.is_empty());
    let types: Vec<String> = types.collect();
    let with_statement = query.flag("statement");
    blocking(move || {
        let found = library.images().attestations(&name, platform.as_ref(), with_statement)?;
        let wanted = found.into_iter().filter(|one| types.is_empty() || types.contains(&one.predicate));
        let shown = wanted.map(|one| Attestation {
            descriptor: one.descriptor,
            predicate_type: one.predicate,
            statement: one.statement,
        });
        Ok(Json(shown.collect()))
    })
    .await
}
