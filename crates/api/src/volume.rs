//! The documents of volumes.

use std::collections::BTreeMap;

use longshore_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a volume is made from.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct VolumeCreate {
    pub name: Option<String>,
    pub driver: Option<String>,
    pub driver_opts: Option<BTreeMap<String, String>>,
    pub labels: Option<BTreeMap<String, String>>,
    /// Of a volume of a swarm.
    pub cluster_volume_spec: Option<Value>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// RFC 3339, to the second.
    pub created_at: String,
    pub driver: String,
    pub labels: Option<BTreeMap<String, String>>,
    pub mountpoint: String,
    pub name: String,
    pub options: Option<BTreeMap<String, String>>,
    pub scope: &'static str,
    /// Of `system df` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_data: Option<UsageData>,
}

/// How large a volume is, and who uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UsageData {
    /// Containers.
    pub ref_count: i64,
    /// Bytes.
    pub size: i64,
}

/// The list of volumes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VolumeList {
    pub volumes: Vec<Volume>,
    pub warnings: Option<Vec<String>>,
}

/// What a prune took away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VolumesPruned {
    pub volumes_deleted: Vec<String>,
    /// Bytes.
    pub space_reclaimed: u64,
}

impl Volume {
    /// A volume of the local driver.
    #[must_use]
    pub fn local(
        name: String,
        mountpoint: String,
        created: Timestamp,
        labels: BTreeMap<String, String>,
        options: BTreeMap<String, String>,
    ) -> Self {
        let some = |map: BTreeMap<String, String>| (!map.is_empty()).then_some(map);
        Self {
            created_at: Timestamp(created.seconds().saturating_mul(1_000_000_000)).to_string(),
            driver: "local".into(),
            labels: some(labels),
            mountpoint,
            name,
            options: some(options),
            scope: "local",
            usage_data: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use longshore_types::Timestamp;
    use serde_json::json;

    use super::Volume;

    #[test]
    fn as_docker_writes_it() {
        let created = Timestamp(1_700_000_000_123_456_789);
        let none = BTreeMap::new();
        let volume = Volume::local("v".into(), "/m".into(), created, none.clone(), none);
        let document = json!({
            "CreatedAt": "2023-11-14T22:13:20Z",
            "Driver": "local",
            "Labels": null,
            "Mountpoint": "/m",
            "Name": "v",
            "Options": null,
            "Scope": "local",
        });
        assert_eq!(serde_json::to_value(volume).unwrap(), document);
    }
}
