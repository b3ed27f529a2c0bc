//! Documents of execs.

use serde::{Deserialize, Serialize};

use crate::Version;

/// What a process is asked to be.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Create {
    pub attach_stdin: Option<bool>,
    pub attach_stdout: Option<bool>,
    pub attach_stderr: Option<bool>,
    /// Height, width.
    pub console_size: Option<[u32; 2]>,
    pub detach_keys: Option<String>,
    pub tty: Option<bool>,
    pub env: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub privileged: Option<bool>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
}

/// The exec that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Created {
    #[serde(rename = "Id")]
    pub id: String,
}

/// How it is to be started.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Start {
    pub detach: Option<bool>,
    pub tty: Option<bool>,
    /// Height, width.
    pub console_size: Option<[u32; 2]>,
}

/// How it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    #[serde(rename = "ID")]
    pub id: String,
    pub running: bool,
    pub exit_code: Option<i32>,
    pub process_config: ProcessConfig,
    pub open_stdin: bool,
    pub open_stderr: bool,
    pub open_stdout: bool,
    pub can_remove: bool,
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    pub detach_keys: String,
    pub pid: i32,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessConfig {
    pub tty: bool,
    pub entrypoint: String,
    pub arguments: Vec<String>,
    pub privileged: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
}

/// The size of a terminal, in versions that know it here.
#[must_use]
pub fn console_size(size: Option<[u32; 2]>, version: Version) -> Option<[u16; 2]> {
    let size = size.filter(|_| version >= Version(42))?;
    Some(size.map(|side| u16::try_from(side).unwrap_or(u16::MAX)))
}
