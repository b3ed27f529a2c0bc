use serde::{Deserialize, Serialize};

use super::nullable::nullable;

/// A seccomp profile: what to do with each system call.
///
/// Names of actions, operators, architectures and flags stay text here; `crate::seccomp` gives
/// them meaning and names the one that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Seccomp {
    #[serde(deserialize_with = "nullable")]
    pub default_action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// Empty means the native architecture alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<String>>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub listener_path: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<SyscallRule>,
}

/// One action for several system calls, under the condition that all `args` match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SyscallRule {
    #[serde(deserialize_with = "nullable")]
    pub names: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
}

/// A comparison of one argument (index 0–5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Arg {
    #[serde(deserialize_with = "nullable")]
    pub index: u32,
    #[serde(deserialize_with = "nullable")]
    pub value: u64,
    /// The compared value of `SCMP_CMP_MASKED_EQ`, whose mask is `value`.
    #[serde(deserialize_with = "nullable")]
    pub value_two: u64,
    #[serde(deserialize_with = "nullable")]
    pub op: String,
}
