use longshore_types::oci::Descriptor;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Labels, ManifestSummary};
use crate::Version;

/// One image of a list, in its newest form.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Summary {
    /// How many containers use it; −1 where nobody counted.
    pub containers: i64,
    /// Seconds since 1970.
    pub created: i64,
    pub id: String,
    pub labels: Labels,
    pub parent_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifests: Option<Vec<ManifestSummary>>,
    pub repo_digests: Vec<String>,
    pub repo_tags: Vec<String>,
    /// −1 where nobody counted.
    pub shared_size: i64,
    pub size: u64,
}

impl Summary {
    /// The document as a version has it.
    #[must_use]
    pub fn at(mut self, version: Version) -> Value {
        if version < Version(51) {
            self.containers = -1;
        }
        self.sized(version)
    }

    /// The document as a version has it in a list of what takes space: there, containers have always been counted.
    #[must_use]
    pub fn sized(mut self, version: Version) -> Value {
        if version < Version(47) {
            self.manifests = None;
        }
        // As in an inspection: for who asks for manifests.
        if version < Version(48) || self.manifests.is_none() {
            self.descriptor = None;
        }
        let (tags, digests) = (self.repo_tags.is_empty(), self.repo_digests.is_empty());
        let size = self.size;
        let Ok(mut document) = serde_json::to_value(self) else { return Value::Null };
        if version < Version(44) {
            document["VirtualSize"] = json!(size);
        }
        if version < Version(43) {
            match (tags, digests) {
                (true, true) => {
                    document["RepoTags"] = json!(["<none>:<none>"]);
                    document["RepoDigests"] = json!(["<none>@<none>"]);
                }
                (true, false) => document["RepoTags"] = Value::Null,
                (false, true) => document["RepoDigests"] = Value::Null,
                (false, false) => {}
            }
        }
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            containers: 2,
            created: 1,
            id: "sha256:0".into(),
            labels: None,
            parent_id: String::new(),
            descriptor: None,
            manifests: None,
            repo_digests: Vec::new(),
            repo_tags: Vec::new(),
            shared_size: -1,
            size: 7,
        }
    }

    #[test]
    fn what_has_no_name_is_said_as_each_version_does() {
        let newest = summary().at(Version::NEWEST);
        assert_eq!(newest["RepoTags"], json!([]));
        assert_eq!(newest["Containers"], json!(2));
        assert_eq!(newest.get("VirtualSize"), None);
        let old = summary().at(Version(41));
        assert_eq!(old["RepoTags"], json!(["<none>:<none>"]));
        assert_eq!(old["RepoDigests"], json!(["<none>@<none>"]));
        assert_eq!(old["Containers"], json!(-1));
        assert_eq!(old["VirtualSize"], json!(7));
        let mut named = summary();
        named.repo_digests = vec!["a@sha256:0".into()];
        assert_eq!(named.at(Version(42))["RepoTags"], Value::Null);
        assert_eq!(summary().sized(Version(41))["Containers"], json!(2));
    }
}
