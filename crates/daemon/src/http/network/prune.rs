use axum::extract::State;
use longshore_api::network::Pruned;
use longshore_engine::{container::Containers, network::Networks};
use longshore_types::{network::Network, time};

use super::{
    blocking,
    filter::{self, PRUNED},
};
use crate::http::{body::Json, error::Failure, query::Query};

/// Removes the networks that no container names.
pub(super) async fn prune(
    State(networks): State<Networks>,
    State(containers): State<Containers>,
    query: Query,
) -> Result<Json<Pruned>, Failure> {
    let filters = query.filters()?;
    filters.check(&PRUNED)?;
    let mut until = None;
    for text in filters.values("until") {
        let (seconds, _) = time::parse_timestamp(text, time::now()).ok_or_else(|| {
            Failure::bad(format!("invalid filter 'until={text}': it takes a time or a duration"))
        })?;
        until = Some(seconds);
    }
    let used = filter::in_use(&containers);
    let removed = blocking(move || {
        let wanted = |network: &Network| {
            filters.prunes(&network.labels) && until.is_none_or(|until| network.created.seconds() < until)
        };
        Ok(networks.prune(wanted, &used))
    })
    .await?;
    Ok(Json(Pruned { networks_deleted: (!removed.is_empty()).then_some(removed) }))
}
