use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use longshore_types::ContainerId;
use serde::{Deserialize, Serialize};

use super::{Identity, Status};
use crate::{
    cgroup,
    spec::{NamespaceKind, OCI_VERSION},
};

/// The version of `state.json` that this program writes, and the only one that it reads.
pub(super) const FORMAT: u32 = 1;

/// What `state.json` holds: how to find everything that belongs to a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub format: u32,
    pub oci_version: String,
    pub id: ContainerId,
    /// Absolute.
    pub bundle: PathBuf,
    /// Absolute.
    pub rootfs: PathBuf,
    /// RFC 3339, UTC.
    pub created: String,
    /// The user who created it.
    pub owner: u32,
    /// The container's init; `None` until it was cloned.
    pub init: Option<Identity>,
    /// The cgroups made or about to be made; `None` until they were chosen.
    pub cgroup: Option<cgroup::Record>,
    /// The namespaces that are not the host's, for `exec` to join.
    #[serde(default)]
    pub namespaces: Vec<NamespaceKind>,
    /// The session keyring that the container's processes join.
    #[serde(default)]
    pub keyring: Option<String>,
    /// It was made without privileges.
    #[serde(default)]
    pub rootless: bool,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Record {
    /// A record of a container about to be created now.
    #[must_use]
    pub fn new(id: ContainerId, bundle: &Path, rootfs: &Path) -> Self {
        Self {
            format: FORMAT,
            oci_version: OCI_VERSION.into(),
            id,
            bundle: bundle.into(),
            rootfs: rootfs.into(),
            created: super::now_rfc3339(),
            owner: rustix::process::getuid().as_raw(),
            init: None,
            cgroup: None,
            namespaces: Vec::new(),
            keyring: None,
            rootless: false,
            annotations: BTreeMap::new(),
        }
    }

    /// The state as the OCI specification defines it, with `status` as found by the caller.
    #[must_use]
    pub fn oci_state(&self, status: Status) -> OciState<'_> {
        OciState {
            oci_version: &self.oci_version,
            id: self.id.as_str(),
            status,
            pid: self.init.filter(|_| status != Status::Stopped).map(|init| init.pid),
            bundle: &self.bundle,
            annotations: &self.annotations,
        }
    }
}

/// The document that hooks read on stdin (runtime-spec, `runtime.md`, "State").
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OciState<'a> {
    pub oci_version: &'a str,
    pub id: &'a str,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    pub bundle: &'a Path,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: &'a BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use longshore_types::ContainerId;

    use super::{Identity, Record, Status};

    #[test]
    fn hooks_see_the_specified_fields() {
        let mut record = Record::new(ContainerId::new("c1").unwrap(), Path::new("/b"), Path::new("/b/r"));
        let json = |record: &Record, status| serde_json::to_value(record.oci_state(status)).unwrap();
        let creating = serde_json::json!({
            "ociVersion": "1.3.0", "id": "c1", "status": "creating", "bundle": "/b"
        });
        assert_eq!(json(&record, Status::Creating), creating);

        record.init = Some(Identity { pid: 42, start_ticks: 7 });
        record.annotations.insert("k".into(), "v".into());
        let running = serde_json::json!({
            "ociVersion": "1.3.0", "id": "c1", "status": "running", "pid": 42, "bundle": "/b",
            "annotations": { "k": "v" }
        });
        assert_eq!(json(&record, Status::Running), running);
        assert_eq!(json(&record, Status::Stopped)["pid"], serde_json::Value::Null);
    }
}
