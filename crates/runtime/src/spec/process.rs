use serde::{Deserialize, Serialize};

use super::nullable::nullable;

/// The container's process, or the one that `exec` adds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Process {
    #[serde(deserialize_with = "nullable")]
    pub terminal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
    #[serde(deserialize_with = "nullable")]
    pub user: User,
    #[serde(deserialize_with = "nullable")]
    pub args: Vec<String>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub cwd: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub rlimits: Vec<Rlimit>,
    #[serde(deserialize_with = "nullable")]
    pub no_new_privileges: bool,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub apparmor_profile: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub selinux_label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<IoPriority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "Option::is_none")]
    pub exec_cpu_affinity: Option<Affinity>,
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleSize {
    pub height: u16,
    pub width: u16,
}

/// Who the process runs as, in ids of the container's user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct User {
    #[serde(deserialize_with = "nullable")]
    pub uid: u32,
    #[serde(deserialize_with = "nullable")]
    pub gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
}

/// Capability names (`CAP_…`) for each of the five sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub bounding: Vec<String>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub effective: Vec<String>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub inheritable: Vec<String>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub permitted: Vec<String>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub ambient: Vec<String>,
}

/// One resource limit; `kind` is `RLIMIT_…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rlimit {
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    #[serde(deserialize_with = "nullable")]
    pub hard: u64,
    #[serde(deserialize_with = "nullable")]
    pub soft: u64,
}

/// `ioprio_set(2)`; `class` is `IOPRIO_CLASS_…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IoPriority {
    #[serde(deserialize_with = "nullable")]
    pub class: String,
    #[serde(deserialize_with = "nullable")]
    pub priority: i32,
}

/// `sched_setattr(2)`; times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scheduler {
    #[serde(deserialize_with = "nullable")]
    pub policy: String,
    #[serde(deserialize_with = "nullable")]
    pub nice: i32,
    #[serde(deserialize_with = "nullable")]
    pub priority: i32,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub runtime: u64,
    #[serde(deserialize_with = "nullable")]
    pub deadline: u64,
    #[serde(deserialize_with = "nullable")]
    pub period: u64,
}

/// CPU lists (`0-3,7`) for an exec'd process: before and after it joins the cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Affinity {
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub initial: String,
    #[serde(rename = "final", deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub last: String,
}
