//! `/info`, `/version` and `/auth`.

mod info;
mod version;

use serde::{Deserialize, Serialize};

pub use info::{Commit, Discovered, IndexConfig, Info, Plugins, RegistryConfig, Runtime, Swarm};
pub use version::{Component, Platform, VersionInfo};

/// The release of Docker whose behaviour this engine has, for clients that compare.
pub const COMPATIBLE: &str = "29.0.0";

/// An account to check with a registry.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    pub username: String,
    pub password: String,
    pub serveraddress: String,
    pub identitytoken: String,
    pub registrytoken: String,
}

impl std::fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthConfig").field("serveraddress", &self.serveraddress).finish_non_exhaustive()
    }
}

/// What came of it.
#[derive(Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuthResponse {
    pub status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub identity_token: String,
}

impl std::fmt::Debug for AuthResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthResponse").field("status", &self.status).finish_non_exhaustive()
    }
}
