use std::collections::BTreeMap;

use longshore_types::container::{EndpointSettings, MountPoint};
use serde::Serialize;

use crate::Version;

/// A container in a list: Docker's `ContainerSummary`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Summary {
    pub id: String,
    pub names: Vec<String>,
    pub image: String,
    #[serde(rename = "ImageID")]
    pub image_id: String,
    pub command: String,
    /// Seconds since 1970.
    pub created: i64,
    pub ports: Vec<Port>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_rw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_root_fs: Option<u64>,
    pub labels: BTreeMap<String, String>,
    pub state: String,
    pub status: String,
    pub host_config: HostSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthSummary>,
    pub network_settings: NetworkSummary,
    pub mounts: Vec<MountPoint>,
}

/// A port of a container in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Port {
    #[serde(rename = "IP", skip_serializing_if = "String::is_empty")]
    pub ip: String,
    #[serde(rename = "PrivatePort")]
    pub private: u16,
    #[serde(rename = "PublicPort", skip_serializing_if = "Option::is_none")]
    pub public: Option<u16>,
    #[serde(rename = "Type")]
    pub protocol: String,
}

/// What a list shows of the host's side.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostSummary {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network_mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// What a list shows of health.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthSummary {
    pub status: String,
    pub failing_streak: i64,
}

/// What a list shows of networks.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSummary {
    pub networks: BTreeMap<String, EndpointSettings>,
}

impl Summary {
    /// The entry as a version has it.
    #[must_use]
    pub fn for_version(mut self, version: Version) -> Self {
        if version < Version(52) {
            self.health = None;
        }
        if version < Version(46) {
            self.host_config.annotations = None;
        }
        if version < Version(48) {
            self.mounts.retain(|mount| mount.kind != longshore_types::container::MountType::Image);
        }
        self
    }
}
