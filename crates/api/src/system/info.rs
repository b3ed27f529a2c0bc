use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Version;

/// `GET /info`, in the newest form.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    #[serde(rename = "ID")]
    pub id: String,
    pub containers: usize,
    pub containers_running: usize,
    pub containers_paused: usize,
    pub containers_stopped: usize,
    pub images: usize,
    pub driver: &'static str,
    pub driver_status: Vec<[String; 2]>,
    pub plugins: Plugins,
    pub memory_limit: bool,
    pub swap_limit: bool,
    pub cpu_cfs_period: bool,
    pub cpu_cfs_quota: bool,
    #[serde(rename = "CPUShares")]
    pub cpu_shares: bool,
    #[serde(rename = "CPUSet")]
    pub cpu_set: bool,
    pub pids_limit: bool,
    #[serde(rename = "IPv4Forwarding")]
    pub ipv4_forwarding: bool,
    pub debug: bool,
    pub n_fd: usize,
    pub oom_kill_disable: bool,
    pub n_goroutines: usize,
    pub system_time: String,
    pub logging_driver: String,
    pub cgroup_driver: &'static str,
    pub cgroup_version: &'static str,
    pub n_events_listener: usize,
    pub kernel_version: String,
    pub operating_system: String,
    #[serde(rename = "OSVersion")]
    pub os_version: String,
    #[serde(rename = "OSType")]
    pub os_type: &'static str,
    pub architecture: String,
    pub index_server_address: &'static str,
    pub registry_config: RegistryConfig,
    #[serde(rename = "NCPU")]
    pub cpus: usize,
    pub mem_total: u64,
    pub generic_resources: Option<Vec<Value>>,
    pub docker_root_dir: String,
    pub http_proxy: String,
    pub https_proxy: String,
    pub no_proxy: String,
    pub name: String,
    pub labels: Vec<String>,
    pub experimental_build: bool,
    pub server_version: String,
    pub runtimes: BTreeMap<String, Runtime>,
    pub default_runtime: String,
    pub swarm: Swarm,
    pub live_restore_enabled: bool,
    pub isolation: &'static str,
    pub init_binary: String,
    pub containerd_commit: Commit,
    pub runc_commit: Commit,
    pub init_commit: Commit,
    pub security_options: Vec<String>,
    #[serde(rename = "CDISpecDirs")]
    pub cdi_spec_dirs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub discovered_devices: Vec<Discovered>,
    pub warnings: Option<Vec<String>>,
}

/// A device that a container may ask for by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Discovered {
    /// Whose device it is: `cdi`.
    pub source: &'static str,
    #[serde(rename = "ID")]
    pub id: String,
}

impl Discovered {
    /// One that is described by a file.
    #[must_use]
    pub fn cdi(name: &str) -> Self {
        Self { source: "cdi", id: name.into() }
    }
}

/// What drivers there are.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Plugins {
    pub volume: Vec<&'static str>,
    pub network: Vec<&'static str>,
    pub authorization: Option<Vec<&'static str>>,
    pub log: Vec<&'static str>,
}

/// How registries are talked to.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegistryConfig {
    #[serde(rename = "InsecureRegistryCIDRs")]
    pub insecure_registry_cidrs: Vec<String>,
    pub index_configs: BTreeMap<String, IndexConfig>,
    pub mirrors: Vec<String>,
}

/// How one registry is talked to.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IndexConfig {
    pub name: String,
    pub mirrors: Vec<String>,
    pub secure: bool,
    pub official: bool,
}

/// An OCI runtime.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Runtime {
    pub path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runtime_args: Vec<String>,
}

/// That this engine is in no swarm.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Swarm {
    #[serde(rename = "NodeID")]
    pub node_id: &'static str,
    pub node_addr: &'static str,
    pub local_node_state: &'static str,
    pub control_available: bool,
    pub error: &'static str,
    pub remote_managers: Option<Vec<Value>>,
}

impl Default for Swarm {
    fn default() -> Self {
        Self {
            node_id: "",
            node_addr: "",
            local_node_state: "inactive",
            control_available: false,
            error: "",
            remote_managers: None,
        }
    }
}

/// What a part was built from.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Commit {
    #[serde(rename = "ID")]
    pub id: String,
}

impl Info {
    /// The document as `version` has it.
    pub fn for_version(&self, version: Version) -> serde_json::Result<Value> {
        let mut document = serde_json::to_value(self)?;
        if let Value::Object(fields) = &mut document {
            make_older(fields, version);
        }
        Ok(document)
    }
}

/// Undoes what newer versions changed.
fn make_older(fields: &mut Map<String, Value>, version: Version) {
    if !version.is_from(50) {
        fields.insert("BridgeNfIptables".into(), false.into());
        fields.insert("BridgeNfIp6tables".into(), false.into());
    }
    if !version.is_from(49) {
        for name in ["ContainerdCommit", "RuncCommit", "InitCommit"] {
            if let Some(Value::Object(commit)) = fields.get_mut(name) {
                let id = commit.get("ID").cloned().unwrap_or_default();
                commit.insert("Expected".into(), id);
            }
        }
        if let Some(Value::Object(registries)) = fields.get_mut("RegistryConfig") {
            registries.insert("AllowNondistributableArtifactsCIDRs".into(), json!([]));
            registries.insert("AllowNondistributableArtifactsHostnames".into(), json!([]));
        }
    }
    if !version.is_from(50) {
        fields.remove("DiscoveredDevices");
    }
    if !version.is_from(46) {
        fields.remove("CDISpecDirs");
    }
    if !version.is_from(42) {
        fields.insert("KernelMemory".into(), false.into());
        fields.insert("KernelMemoryTCP".into(), false.into());
    }
    if !version.is_from(25) {
        fields.insert("ExecutionDriver".into(), "<not supported>".into());
        if let Some(Value::Array(options)) = fields.get_mut("SecurityOptions") {
            for option in options {
                let text = option.as_str().unwrap_or_default();
                let name = text.strip_prefix("name=").unwrap_or(text).split(',').next().unwrap_or_default();
                *option = name.into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_versions_have_what_they_had() {
        let info = Info {
            security_options: vec!["name=seccomp,profile=builtin".into()],
            runc_commit: Commit { id: "x".into() },
            ..Info::default()
        };
        let at = |minor| info.for_version(Version(minor)).expect("a document");
        assert_eq!(at(55)["SecurityOptions"][0], "name=seccomp,profile=builtin");
        assert_eq!(at(24)["SecurityOptions"][0], "seccomp");
        assert!(at(49).get("ExecutionDriver").is_none());
        assert_eq!(at(48)["RuncCommit"]["Expected"], "x");
        assert!(at(49)["RuncCommit"].get("Expected").is_none());
        assert_eq!(at(49)["BridgeNfIptables"], false);
        assert!(at(50).get("BridgeNfIptables").is_none());
        assert!(at(41).get("KernelMemory").is_some() && at(42).get("KernelMemory").is_none());
    }
}
