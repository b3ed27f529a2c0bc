//! What is kept of a container.

use std::collections::BTreeMap;

use longshore_types::{
    ContainerId, DiffId, ImageId, Platform, Timestamp,
    container::{Config, HostConfig, Mount, MountPoint, NetworkingConfig, PortMap},
};
use serde::{Deserialize, Serialize};

use super::{Health, State};

/// A container: all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 64 hexadecimal digits.
    pub id: ContainerId,
    /// Without the slash that Docker shows before it.
    pub name: String,
    pub created: Timestamp,
    pub image: Image,
    /// As asked for, with what the image says filled in.
    pub config: Config,
    /// As asked for, with the daemon's defaults filled in.
    pub host: HostConfig,
    /// The networks as asked for and, while it runs, as they are.
    pub networking: NetworkingConfig,
    /// Where its ports are on the host, while it runs.
    #[serde(default)]
    pub ports: PortMap,
    /// In the order of their destinations.
    pub mounts: Vec<MountPoint>,
    /// How each of them was asked for, by destination.
    #[serde(default)]
    pub asked: BTreeMap<String, Mount>,
    /// The snapshot that is its root, in the store.
    pub snapshot: u64,
    pub state: State,
    /// How it answers its health checks, where it has any and has run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// What a container was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    pub id: ImageId,
    pub platform: Platform,
    /// Lowest first.
    pub layers: Vec<DiffId>,
}

impl Record {
    /// The program and its arguments: entrypoint, then command.
    #[must_use]
    pub fn command(&self) -> Vec<&str> {
        let entrypoint = self.config.entrypoint.iter().flatten();
        entrypoint.chain(self.config.cmd.iter().flatten()).map(String::as_str).collect()
    }
}
