//! What takes space, on the wire.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Version;

/// What things of one kind take, as API 1.52 and newer have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Usage {
    #[serde(skip_serializing_if = "is_zero")]
    pub active_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub total_count: u64,
    /// Bytes that what nobody uses takes.
    #[serde(skip_serializing_if = "is_zero")]
    pub reclaimable: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub total_size: u64,
    /// The things themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Value>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Every byte below the data root, and whose it is: more than Docker tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ledger {
    pub blobs: u64,
    pub partials: u64,
    pub staged: u64,
    pub layers: u64,
    pub snapshots: u64,
    /// Logs and other files of containers.
    pub containers: u64,
    pub trash: u64,
    pub quarantine: u64,
    pub metadata: u64,
    /// What nobody knows.
    pub unaccounted: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unaccounted_paths: Vec<String>,
}

/// All of it. What was not asked for is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiskUsage {
    pub images: Option<Usage>,
    pub containers: Option<Usage>,
    pub volumes: Option<Usage>,
    pub build_cache: Option<Usage>,
    pub ledger: Option<Ledger>,
}

impl DiskUsage {
    /// The document as a version has it. From 1.52 on the lists are in it only if `verbose`; the words of before are
    /// too unless it is, for clients that speak no version.
    #[must_use]
    pub fn at(self, version: Version, verbose: bool) -> Value {
        let mut document = Map::new();
        let is_new = version >= Version(52);
        if !(is_new && verbose) {
            let size = self.images.as_ref().map_or(0, |images| images.total_size);
            document.insert("LayersSize".into(), size.into());
            for (name, usage) in [
                ("Images", &self.images),
                ("Containers", &self.containers),
                ("Volumes", &self.volumes),
                ("BuildCache", &self.build_cache),
            ] {
                if let Some(usage) = usage {
                    document.insert(name.into(), usage.items.clone().into());
                }
            }
        }
        if is_new {
            for (name, usage) in [
                ("ImageUsage", self.images),
                ("ContainerUsage", self.containers),
                ("VolumeUsage", self.volumes),
                ("BuildCacheUsage", self.build_cache),
            ] {
                let Some(mut usage) = usage else { continue };
                if !verbose {
                    usage.items.clear();
                }
                document.insert(name.into(), serde_json::to_value(usage).unwrap_or_default());
            }
        }
        if let Some(ledger) = self.ledger {
            document.insert("Ledger".into(), serde_json::to_value(ledger).unwrap_or_default());
        }
        document.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_version_has_its_form() {
        let usage = || DiskUsage {
            images: Some(Usage { total_count: 1, total_size: 7, items: vec![json!({})], ..Usage::default() }),
            ..DiskUsage::default()
        };
        assert_eq!(usage().at(Version(51), true), json!({"LayersSize": 7, "Images": [{}]}));
        let new = json!({"TotalCount": 1, "TotalSize": 7});
        assert_eq!(
            usage().at(Version(52), false),
            json!({"LayersSize": 7, "Images": [{}], "ImageUsage": new})
        );
        let new = json!({"TotalCount": 1, "TotalSize": 7, "Items": [{}]});
        assert_eq!(usage().at(Version(52), true), json!({"ImageUsage": new}));
    }
}
