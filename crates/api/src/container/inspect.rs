use std::collections::BTreeMap;

use longshore_types::{
    Timestamp,
    container::{Config, EndpointSettings, HostConfig, MountPoint, PortMap},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Version;

/// All about a container: Docker's `ContainerInspectResponse`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    pub id: String,
    pub created: Timestamp,
    pub path: String,
    pub args: Vec<String>,
    pub state: State,
    pub image: String,
    pub resolv_conf_path: String,
    pub hostname_path: String,
    pub hosts_path: String,
    pub log_path: String,
    pub name: String,
    pub restart_count: u32,
    pub driver: String,
    pub platform: String,
    pub mount_label: String,
    pub process_label: String,
    pub app_armor_profile: String,
    #[serde(rename = "ExecIDs")]
    pub exec_ids: Option<Vec<String>>,
    pub host_config: HostConfig,
    pub graph_driver: GraphDriver,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_rw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_root_fs: Option<u64>,
    pub mounts: Vec<MountPoint>,
    pub config: Config,
    pub network_settings: NetworkSettings,
}

/// Where it is in its life.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    pub status: String,
    pub running: bool,
    pub paused: bool,
    pub restarting: bool,
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    pub dead: bool,
    pub pid: i32,
    pub exit_code: i32,
    pub error: String,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Value>,
}

/// What holds its files.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GraphDriver {
    pub name: String,
    pub data: BTreeMap<String, String>,
}

/// Its networks as they are.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSettings {
    #[serde(rename = "SandboxID")]
    pub sandbox_id: String,
    pub sandbox_key: String,
    pub ports: PortMap,
    pub networks: BTreeMap<String, EndpointSettings>,
}

impl Inspect {
    /// The document as a version has it.
    pub fn for_version(mut self, version: Version) -> serde_json::Result<Value> {
        let is_user_defined = |name: &str| {
            !matches!(name, "bridge" | "host" | "none" | "default") && !name.starts_with("container:")
        };
        if version < Version(45) {
            let short: String = self.id.chars().take(12).collect();
            for (name, endpoint) in &mut self.network_settings.networks {
                if is_user_defined(name) {
                    let aliases = endpoint.aliases.get_or_insert_default();
                    for alias in [&short, &self.config.hostname] {
                        if !aliases.contains(alias) {
                            aliases.push(alias.clone());
                        }
                    }
                }
            }
        }
        if version >= Version(52) {
            self.config.mac_address.clear();
        }
        let bridge = self.network_settings.networks.get("bridge").cloned().unwrap_or_default();
        let mut document = serde_json::to_value(self)?;
        // Gone from 1.52: the addresses on the default network, twice.
        if version < Version(52)
            && let Some(Value::Object(settings)) = document.get_mut("NetworkSettings")
        {
            let old = json!({
                "Bridge": "",
                "HairpinMode": false,
                "LinkLocalIPv6Address": "",
                "LinkLocalIPv6PrefixLen": 0,
                "SecondaryIPAddresses": null,
                "SecondaryIPv6Addresses": null,
                "EndpointID": bridge.endpoint_id,
                "Gateway": bridge.gateway,
                "GlobalIPv6Address": bridge.global_ipv6_address,
                "GlobalIPv6PrefixLen": bridge.global_ipv6_prefix_len,
                "IPAddress": bridge.ip_address,
                "IPPrefixLen": bridge.ip_prefix_len,
                "IPv6Gateway": bridge.ipv6_gateway,
                "MacAddress": bridge.mac_address,
            });
            if let Value::Object(old) = old {
                settings.extend(old);
            }
        }
        Ok(document)
    }
}
