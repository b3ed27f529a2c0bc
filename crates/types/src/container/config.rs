use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{is_empty, nullable, words};

/// What the image may set and its containers share: Docker's `ContainerConfig`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Config {
    #[serde(deserialize_with = "nullable")]
    pub hostname: String,
    #[serde(deserialize_with = "nullable")]
    pub domainname: String,
    /// `user[:group]`, names or numbers.
    #[serde(deserialize_with = "nullable")]
    pub user: String,
    #[serde(deserialize_with = "nullable")]
    pub attach_stdin: bool,
    #[serde(deserialize_with = "nullable")]
    pub attach_stdout: bool,
    #[serde(deserialize_with = "nullable")]
    pub attach_stderr: bool,
    /// Keys are `port/protocol`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Empty>>,
    #[serde(deserialize_with = "nullable")]
    pub tty: bool,
    #[serde(deserialize_with = "nullable")]
    pub open_stdin: bool,
    #[serde(deserialize_with = "nullable")]
    pub stdin_once: bool,
    /// `NAME=value`; `NAME` alone removes one of the image.
    pub env: Option<Vec<String>>,
    #[serde(deserialize_with = "words")]
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub args_escaped: bool,
    /// As it was given: a name, or an ID.
    #[serde(deserialize_with = "nullable")]
    pub image: String,
    /// Keys are paths in the container.
    pub volumes: Option<BTreeMap<String, Empty>>,
    #[serde(deserialize_with = "nullable")]
    pub working_dir: String,
    #[serde(deserialize_with = "words")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub network_disabled: bool,
    /// Of the first network; gone from API 1.44, still taken.
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub mac_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<String>>,
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub stop_signal: String,
    /// Seconds; −1 waits for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "words")]
    pub shell: Option<Vec<String>>,
}

/// The value of maps that are sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// How a container is asked whether it is well. Durations are nanoseconds; 0 inherits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HealthConfig {
    /// `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", "…"]`; empty inherits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub retries: i64,
}
