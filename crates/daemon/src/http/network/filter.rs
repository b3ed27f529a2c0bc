//! Filters of networks.

use longshore_engine::{container::Containers, network::is_predefined};
use longshore_types::{Filters, network::Network};

use crate::http::error::Failure;

/// Those of a list.
pub(super) const LISTED: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];
/// Those of `prune`.
pub(super) const PRUNED: [&str; 3] = ["label", "label!", "until"];

/// A network's type is one of two.
pub(super) fn check_kind(filters: &Filters) -> Result<(), Failure> {
    match filters.values("type").find(|kind| !matches!(*kind, "custom" | "builtin")) {
        Some(kind) => Err(Failure::bad(format!("invalid filter: 'type'='{kind}'"))),
        None => Ok(()),
    }
}

/// Whether a list has the network.
pub(super) fn wants(filters: &Filters, network: &Network) -> bool {
    let kind = if is_predefined(&network.name) { "builtin" } else { "custom" };
    let part = |key: &str, value: &str| {
        let mut values = filters.values(key).peekable();
        values.peek().is_none() || values.any(|wanted| value.contains(wanted))
    };
    let id = |value: &str| {
        let mut values = filters.values("id").peekable();
        values.peek().is_none() || values.any(|wanted| value.starts_with(wanted))
    };
    filters.exactly("driver", &network.driver)
        && filters.exactly("scope", &network.scope)
        && filters.exactly("type", kind)
        && part("name", &network.name)
        && id(&network.id)
        && filters.labels("label", &network.labels)
}

/// The names and IDs of networks that containers name, whether they run or not.
pub(super) fn in_use(containers: &Containers) -> Vec<String> {
    let mut used = Vec::new();
    for container in containers.all() {
        let record = container.record();
        used.push(record.host.network_mode.clone());
        used.extend(record.networking.endpoints_config.iter().flatten().map(|(name, _)| name.clone()));
    }
    used
}
