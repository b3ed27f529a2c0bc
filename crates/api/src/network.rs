//! Documents of `/networks`.

use std::collections::BTreeMap;

use longshore_types::{container::EndpointSettings, network::Network};
use serde::{Deserialize, Serialize};

use crate::Version;

/// A network, and who is on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Inspect {
    #[serde(flatten)]
    pub network: Network,
    /// By the container's ID.
    #[serde(rename = "Containers")]
    pub containers: BTreeMap<String, EndpointResource>,
    #[serde(rename = "Status", skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// A container's end, as a network shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EndpointResource {
    pub name: String,
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    pub mac_address: String,
    #[serde(rename = "IPv4Address")]
    pub ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    pub ipv6_address: String,
}

/// What is in use of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    #[serde(rename = "IPAM")]
    pub ipam: IpamStatus,
}

/// By subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IpamStatus {
    pub subnets: BTreeMap<String, SubnetStatus>,
}

/// What is in use of a subnet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubnetStatus {
    #[serde(rename = "IPsInUse")]
    pub in_use: u64,
    #[serde(rename = "DynamicIPsAvailable")]
    pub available: u64,
}

/// What a network that was made is answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Created {
    pub id: String,
    pub warning: String,
}

/// What `prune` is answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pruned {
    pub networks_deleted: Option<Vec<String>>,
}

/// Asks for a container to be on a network.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Connect {
    pub container: String,
    pub endpoint_config: Option<EndpointSettings>,
}

/// Asks for a container not to be on a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Disconnect {
    pub container: String,
    pub force: Option<bool>,
}

impl Inspect {
    /// As a version shows it: the use of addresses came with 1.52.
    #[must_use]
    pub fn at(mut self, version: Version) -> Self {
        if version < Version(52) {
            self.status = None;
        }
        self
    }
}
