//! What `features` prints: the runtime specification's `features.md`, version 1.3.
//!
//! It says what this program knows how to do, on any kernel. Lists come from the tables that the
//! code itself works by, so that they cannot promise more or less.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    hooks,
    plan::{CAPABILITIES, KNOWN_OPTIONS},
    seccomp,
    spec::OCI_VERSION,
};

/// The whole document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    pub oci_version_min: &'static str,
    pub oci_version_max: &'static str,
    pub hooks: Vec<&'static str>,
    pub mount_options: Vec<&'static str>,
    pub linux: Linux,
    pub annotations: BTreeMap<&'static str, &'static str>,
    /// Annotations that change what is done: a caller must not take them from strangers.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub potentially_unsafe_config_annotations: &'static [&'static str],
}

/// Features of Linux.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Linux {
    pub namespaces: [&'static str; 8],
    pub capabilities: Vec<&'static str>,
    pub cgroup: Cgroup,
    pub seccomp: Seccomp,
    pub apparmor: Enabled,
    pub selinux: Enabled,
    pub intel_rdt: Enabled,
    pub mount_extensions: MountExtensions,
    pub net_devices: Enabled,
}

/// Kinds of cgroup hierarchy and manager.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cgroup {
    pub v1: bool,
    pub v2: bool,
    pub systemd: bool,
    pub systemd_user: bool,
    pub rdma: bool,
}

/// Words of seccomp profiles.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    pub enabled: bool,
    pub actions: Vec<&'static str>,
    pub operators: Vec<&'static str>,
    pub archs: Vec<&'static str>,
    pub known_flags: Vec<&'static str>,
    pub supported_flags: Vec<&'static str>,
}

/// Extensions of `mounts`.
#[derive(Clone, Debug, Serialize)]
pub struct MountExtensions {
    pub idmap: Enabled,
}

/// A feature that is there or not.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Enabled {
    pub enabled: bool,
}

/// What this program supports.
#[must_use]
pub fn features() -> Features {
    let yes = Enabled { enabled: true };
    let no = Enabled { enabled: false };
    Features {
        oci_version_min: "1.0.0",
        oci_version_max: OCI_VERSION,
        hooks: hooks::Kind::ALL.map(hooks::Kind::name).to_vec(),
        mount_options: sorted(&KNOWN_OPTIONS),
        linux: Linux {
            namespaces: ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            capabilities: CAPABILITIES.to_vec(),
            cgroup: Cgroup { v1: true, v2: true, systemd: true, systemd_user: false, rdma: true },
            seccomp: Seccomp {
                enabled: true,
                actions: sorted(seccomp::ACTIONS),
                operators: sorted(seccomp::OPERATORS),
                archs: sorted(seccomp::ARCHITECTURES),
                known_flags: sorted(seccomp::FLAGS),
                supported_flags: sorted(seccomp::FLAGS),
            },
            apparmor: yes,
            selinux: yes,
            intel_rdt: no,
            mount_extensions: MountExtensions { idmap: yes },
            net_devices: yes,
        },
        annotations: BTreeMap::from([("io.longshore.runtime.version", env!("CARGO_PKG_VERSION"))]),
        potentially_unsafe_config_annotations: &[],
    }
}

fn sorted(words: &[&'static str]) -> Vec<&'static str> {
    let mut words = words.to_vec();
    words.sort_unstable();
    words
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::features;

    /// Every key that the document may have below `path`, from `features-schema.json` and
    /// `features-linux.json` of runtime-spec 1.3.
    fn schema() -> Value {
        json!({
            "ociVersionMin": "string", "ociVersionMax": "string", "hooks": "strings",
            "mountOptions": "strings", "annotations": "map", "potentiallyUnsafeConfigAnnotations": "strings",
            "linux": {
                "namespaces": "strings", "capabilities": "strings",
                "cgroup": {
                    "v1": "boolean", "v2": "boolean", "systemd": "boolean", "systemdUser": "boolean",
                    "rdma": "boolean"
                },
                "seccomp": {
                    "enabled": "boolean", "actions": "strings", "operators": "strings", "archs": "strings",
                    "knownFlags": "strings", "supportedFlags": "strings"
                },
                "apparmor": { "enabled": "boolean" }, "selinux": { "enabled": "boolean" },
                "intelRdt": { "enabled": "boolean" },
                "mountExtensions": { "idmap": { "enabled": "boolean" } },
                "netDevices": { "enabled": "boolean" }
            }
        })
    }

    fn check(path: &str, value: &Value, schema: &Value) {
        match schema.as_str() {
            Some("string") => assert!(value.is_string(), "{path}"),
            Some("boolean") => assert!(value.is_boolean(), "{path}"),
            Some("map") => assert!(value.as_object().unwrap().values().all(Value::is_string), "{path}"),
            Some("strings") => {
                let words: Vec<_> = value.as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
                assert!(!words.is_empty(), "{path} is empty");
                let unique: std::collections::BTreeSet<_> = words.iter().collect();
                assert_eq!(unique.len(), words.len(), "{path} has doubles");
            }
            _ => {
                for (key, value) in value.as_object().unwrap() {
                    let schema = schema.get(key).unwrap_or_else(|| panic!("{path}.{key} is no key"));
                    check(&format!("{path}.{key}"), value, schema);
                }
            }
        }
    }

    #[test]
    fn every_key_is_the_schemas() {
        check("features", &serde_json::to_value(features()).unwrap(), &schema());
    }

    #[test]
    fn names_are_well_formed() {
        let features = features();
        assert!(features.linux.capabilities.iter().all(|name| name.starts_with("CAP_")));
        assert_eq!(features.linux.capabilities.len(), 41);
        assert!(features.linux.seccomp.actions.iter().all(|name| name.starts_with("SCMP_ACT_")));
        assert!(features.linux.seccomp.operators.iter().all(|name| name.starts_with("SCMP_CMP_")));
        assert!(features.linux.seccomp.archs.iter().all(|name| name.starts_with("SCMP_ARCH_")));
        assert!(features.mount_options.contains(&"rbind"));
    }
}
