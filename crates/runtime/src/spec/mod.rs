//! The OCI runtime specification's `config.json`, version 1.3, as types.
//!
//! Own types instead of the `oci-spec` crate because a runtime has to take what runc takes: unknown
//! fields are ignored, `null` means absent, an unknown capability is a warning and not a parse error
//! (runtime-spec, "Extensibility"), and an error names the field by its path. Field names and
//! meanings are those of the specification's `config.md` and `config-linux.md`.

mod linux;
mod load;
mod nullable;
mod process;
mod resources;
mod seccomp;

use std::collections::BTreeMap;

use nullable::nullable;
use serde::{Deserialize, Serialize};

pub use linux::{
    Device, IdMapping, IntelRdt, Linux, MemoryPolicy, Namespace, NamespaceKind, NetDevice, Personality,
    TimeOffset,
};
pub use load::{LoadError, MAX_CONFIG_BYTES, load, parse};
pub use process::{Affinity, Capabilities, ConsoleSize, IoPriority, Process, Rlimit, Scheduler, User};
pub use resources::{
    BlockIo, BlockIoThrottle, BlockIoWeight, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory,
    Network, Pids, Rdma, Resources,
};
pub use seccomp::{Arg, Seccomp, SyscallRule};

/// The version of the runtime specification that this crate implements.
pub const OCI_VERSION: &str = "1.3.0";

/// A whole `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    #[serde(deserialize_with = "nullable")]
    pub oci_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
}

/// The container's root file system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Root {
    /// Absolute, or relative to the bundle.
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    #[serde(deserialize_with = "nullable")]
    pub readonly: bool,
}

/// One entry of `mounts`, performed in the order listed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mount {
    #[serde(deserialize_with = "nullable")]
    pub destination: String,
    #[serde(rename = "type", deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
}

/// The six kinds of hook, in the order in which they run.
///
/// Hooks are part of a plan too, whose encoding knows no absent fields: nothing is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hooks {
    #[serde(deserialize_with = "nullable")]
    pub prestart: Vec<Hook>,
    #[serde(deserialize_with = "nullable")]
    pub create_runtime: Vec<Hook>,
    #[serde(deserialize_with = "nullable")]
    pub create_container: Vec<Hook>,
    #[serde(deserialize_with = "nullable")]
    pub start_container: Vec<Hook>,
    #[serde(deserialize_with = "nullable")]
    pub poststart: Vec<Hook>,
    #[serde(deserialize_with = "nullable")]
    pub poststop: Vec<Hook>,
}

/// A program run at one point of a container's life, with the container's state on its stdin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hook {
    /// Absolute path of the program.
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    /// Its whole argv, `argv[0]` included; empty means only `path`.
    #[serde(deserialize_with = "nullable")]
    pub args: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// Seconds before the hook is killed and counts as failed.
    pub timeout: Option<i64>,
}
