use std::collections::BTreeMap;

use longshore_types::{container::Config, oci::Descriptor};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ManifestSummary;
use crate::Version;

/// An image in all detail: the fields of all versions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    pub id: String,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    pub parent: String,
    pub comment: String,
    /// RFC 3339, as the image has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    pub container: String,
    pub container_config: Value,
    pub docker_version: String,
    pub author: String,
    /// Only what is set.
    pub config: Map<String, Value>,
    pub architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    pub os: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    pub size: u64,
    pub graph_driver: DriverData,
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    pub metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifests: Option<Vec<ManifestSummary>>,
}

/// Where the image is on this disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DriverData {
    pub data: BTreeMap<String, String>,
    pub name: String,
}

/// The layers, lowest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootFs {
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}

/// What only this machine knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    /// RFC 3339.
    pub last_tag_time: String,
}

/// What a container's configuration has and an image's has not.
const NOT_OF_IMAGES: [&str; 12] = [
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Image",
    "NetworkDisabled",
    "MacAddress",
    "StopTimeout",
];
/// Fields of 1.50 and 1.51 that are there without a value too.
const ALWAYS: [&str; 8] = ["User", "Env", "Cmd", "Volumes", "WorkingDir", "Entrypoint", "OnBuild", "Labels"];

impl Inspect {
    /// The document as a version has it.
    #[must_use]
    pub fn at(mut self, version: Version) -> Value {
        if version < Version(48) {
            self.manifests = None;
        }
        // Clients take it for the word of a store whose IDs are those of manifests: for who asks for those.
        if self.manifests.is_none() {
            self.descriptor = None;
        }
        if version < Version(44) {
            self.created.get_or_insert_with(|| "0001-01-01T00:00:00Z".into());
        }
        self.config = config_at(self.config, version);
        let size = self.size;
        let Ok(mut document) = serde_json::to_value(self) else { return Value::Null };
        if version < Version(44) {
            document["VirtualSize"] = json!(size);
        }
        if let Some(fields) = document.as_object_mut() {
            if version >= Version(45) {
                fields.remove("Container");
                fields.remove("ContainerConfig");
            }
            if version >= Version(52) {
                for name in ["Parent", "Comment", "DockerVersion", "Author"] {
                    if fields.get(name).is_some_and(|value| *value == json!("")) {
                        fields.remove(name);
                    }
                }
            }
        }
        document
    }
}

/// The configuration as a version has it.
fn config_at(mut config: Map<String, Value>, version: Version) -> Map<String, Value> {
    if version < Version(50) {
        let read: Result<Config, _> = serde_json::from_value(Value::Object(config.clone()));
        // With every field, as it is for containers.
        if let Ok(Ok(Value::Object(mut whole))) = read.map(serde_json::to_value) {
            whole.entry("OnBuild").or_insert(Value::Null);
            return whole;
        }
        return config;
    }
    for name in NOT_OF_IMAGES {
        config.remove(name);
    }
    if version < Version(52) {
        for name in ALWAYS {
            let empty = if matches!(name, "User" | "WorkingDir") { json!("") } else { Value::Null };
            config.entry(name).or_insert(empty);
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect() -> Inspect {
        let config = json!({"Cmd": ["sh"], "Hostname": "x"});
        Inspect {
            id: "sha256:0".into(),
            repo_tags: Vec::new(),
            repo_digests: Vec::new(),
            parent: String::new(),
            comment: "c".into(),
            created: None,
            container: String::new(),
            container_config: Value::Null,
            docker_version: String::new(),
            author: String::new(),
            config: config.as_object().cloned().unwrap(),
            architecture: "amd64".into(),
            variant: String::new(),
            os: "linux".into(),
            os_version: String::new(),
            size: 1,
            graph_driver: DriverData { data: BTreeMap::new(), name: "overlay2".into() },
            root_fs: RootFs { kind: "layers".into(), layers: Vec::new() },
            metadata: Metadata { last_tag_time: String::new() },
            descriptor: None,
            manifests: None,
        }
    }

    #[test]
    fn each_version_has_its_fields() {
        let newest = inspect().at(Version::NEWEST);
        assert_eq!(newest["Config"], json!({"Cmd": ["sh"]}));
        for gone in ["Parent", "DockerVersion", "Author", "Container", "ContainerConfig", "VirtualSize"] {
            assert_eq!(newest.get(gone), None, "{gone}");
        }
        assert_eq!(newest["Comment"], json!("c"));
        let of_28 = inspect().at(Version(51));
        assert_eq!(of_28["Parent"], json!(""));
        assert_eq!(of_28["Config"]["Labels"], Value::Null);
        assert_eq!(of_28["Config"].get("Hostname"), None);
        let old = inspect().at(Version(41));
        assert_eq!(old["VirtualSize"], json!(1));
        assert_eq!(old["Created"], json!("0001-01-01T00:00:00Z"));
        assert_eq!(old["Config"]["AttachStdin"], json!(false));
        assert_eq!(old["Config"]["OnBuild"], Value::Null);
        assert!(old["Config"].as_object().unwrap().contains_key("OnBuild"));
        assert_eq!(old["Container"], json!(""));
    }
}
