use axum::extract::State;
use longshore_engine::{container::Containers, network::Networks};
use longshore_types::network::Network;

use super::filter::{self, LISTED};
use crate::http::{body::Json, error::Failure, query::Query};

/// Lists networks.
pub(super) async fn list(
    State(networks): State<Networks>,
    State(containers): State<Containers>,
    query: Query,
) -> Result<Json<Vec<Network>>, Failure> {
    let filters = query.filters()?;
    filters.check(&LISTED)?;
    let dangling = if filters.has("dangling") { Some(filters.flag("dangling", false)?) } else { None };
    filter::check_kind(&filters)?;
    let used = filter::in_use(&containers);
    let is_used = |network: &Network| {
        !networks.members(&network.id).is_empty()
            || used.contains(&network.name)
            || used.contains(&network.id)
    };
    let mut found = networks.all();
    found.retain(|network| {
        let is_dangling = || !longshore_engine::network::is_predefined(&network.name) && !is_used(network);
        filter::wants(&filters, network) && dangling.is_none_or(|wanted| wanted == is_dangling())
    });
    Ok(Json(found))
}
