use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{is_empty, nullable};

/// A mount as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Mount {
    #[serde(rename = "Type", skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub kind: MountType,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub source: String,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub target: String,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub read_only: bool,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub consistency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_options: Option<ImageOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
}

/// What kind of a mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountType {
    #[default]
    #[serde(rename = "")]
    Unset,
    Bind,
    Volume,
    Tmpfs,
    Image,
    Npipe,
    Cluster,
    /// One that nobody knows, for the message.
    #[serde(untagged)]
    Other(String),
}

/// Of a bind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct BindOptions {
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub propagation: String,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub non_recursive: bool,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub create_mountpoint: bool,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub read_only_non_recursive: bool,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub read_only_force_recursive: bool,
}

/// Of a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct VolumeOptions {
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub no_copy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub subpath: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<DriverConfig>,
}

/// Who makes a volume, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DriverConfig {
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
}

/// Of an image that is mounted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageOptions {
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub subpath: String,
}

/// Of a tmpfs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TmpfsOptions {
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub size_bytes: i64,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub mode: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<Vec<String>>>,
}

/// A mount as it is: what `inspect` shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct MountPoint {
    #[serde(rename = "Type", skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub kind: MountType,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub source: String,
    #[serde(deserialize_with = "nullable")]
    pub destination: String,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "nullable")]
    pub driver: String,
    #[serde(deserialize_with = "nullable")]
    pub mode: String,
    #[serde(rename = "RW", deserialize_with = "nullable")]
    pub rw: bool,
    #[serde(deserialize_with = "nullable")]
    pub propagation: String,
}
