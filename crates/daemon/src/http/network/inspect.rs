use std::collections::BTreeMap;

use axum::extract::{Path, State};
use longshore_api::network::{EndpointResource, Inspect, IpamStatus, Status, SubnetStatus};
use longshore_engine::network::Networks;

use crate::http::{body::Json, error::Failure, query::Query, version::Requested};

/// Shows a network, and who is on it.
pub(super) async fn inspect(
    State(networks): State<Networks>,
    Requested(version): Requested,
    Path(word): Path<String>,
    query: Query,
) -> Result<Json<Inspect>, Failure> {
    let network = networks.find(&word)?;
    if query.word("scope").is_some_and(|scope| scope != network.scope) {
        let missing = longshore_engine::network::Error::NoSuchNetwork { word };
        return Err(missing.into());
    }
    let members = networks.members(&network.id).into_iter().map(|member| {
        let resource = EndpointResource {
            name: member.name,
            endpoint_id: member.endpoint,
            mac_address: member.mac,
            ipv4_address: member.address,
            ipv6_address: member.address6,
        };
        (member.container, resource)
    });
    let usage = networks.usage(&network.id).map(|usage| {
        let subnet = SubnetStatus { in_use: usage.in_use, available: usage.available };
        Status { ipam: IpamStatus { subnets: BTreeMap::from([(usage.subnet.to_string(), subnet)]) } }
    });
    let containers = members.collect();
    Ok(Json(Inspect { network, containers, status: usage }.at(version)))
}
