//! What a container is asked to be: Docker's `Config`, `HostConfig` and what hangs from them.
//!
//! Field names, nesting and absence are those of the Engine API 1.55, so that the same types are what a client sends,
//! what is kept, and what `inspect` shows. Older versions of the API are turned into this form, and back, by the `api`
//! crate alone. A field that may be absent or `null` on the wire reads as its empty value, as Go's decoder has it.

mod config;
mod host;
mod mount;
mod network;

use serde::{Deserialize, Deserializer};

pub use config::{Config, Empty, HealthConfig};
pub use host::{
    DeviceMapping, DeviceRequest, HostConfig, LogConfig, Resources, RestartPolicy, ThrottleDevice, Ulimit,
    WeightDevice,
};
pub use mount::{
    BindOptions, DriverConfig, ImageOptions, Mount, MountPoint, MountType, TmpfsOptions, VolumeOptions,
};
pub use network::{EndpointIpamConfig, EndpointSettings, NetworkingConfig, PortBinding, PortMap};

/// Reads `null` as the empty value.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Whether a value is the empty one, for fields that are left out then.
pub(crate) fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One word or several: Docker takes both for commands.
pub(crate) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::<Words>::deserialize(deserializer)?.map(|words| match words {
        Words::One(word) => vec![word],
        Words::Many(words) => words,
    }))
}
