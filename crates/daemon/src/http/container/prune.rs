use axum::{Router, extract::State, routing::post};
use longshore_api::container::PruneResponse;
use longshore_engine::container::Containers;

use super::super::{body::Json, error::Failure, query::Query};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/prune", post(prune))
}

async fn prune(State(containers): State<Containers>, query: Query) -> Result<Json<PruneResponse>, Failure> {
    let pruned = containers.prune(&query.filters()?).await?;
    let deleted = (!pruned.containers.is_empty()).then_some(pruned.containers);
    Ok(Json(PruneResponse { containers_deleted: deleted, space_reclaimed: pruned.reclaimed }))
}
