//! Devices of the Container Device Interface (<https://github.com/cncf-tags/container-device-interface>): files of
//! the host's say what a device adds to a container.
//!
//! ```text
//! /etc/cdi/*.{json,yaml}, /var/run/cdi/… ─▶ Found ─▶ DeviceRequests of driver cdi ─▶ edits of the Spec
//! ```
//!
//! The files are read whenever they are needed: what makes them runs when it likes. A directory beats those before it.

mod edit;
mod file;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use longshore_runtime::spec::Spec;
use longshore_types::container::DeviceRequest;

use edit::apply;
use file::{Edits, File};

/// Where devices are described unless the daemon's settings say otherwise.
pub const DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
/// What requests for such devices name.
pub(super) const DRIVER: &str = "cdi";
/// A description is a few lines for each device.
const LARGEST: u64 = 16 << 20;

/// Why devices cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum CdiError {
    #[error("CDI device injection failed: unresolvable CDI devices {}", names.join(", "))]
    Unknown { names: Vec<String> },
    #[error("unexpected count in CDI device request")]
    Count,
    #[error("unexpected options in CDI device request")]
    Options,
    #[error("CDI device injection failed: {device}: {reason}")]
    Edit { device: String, reason: String },
}

/// All devices that are described.
#[derive(Debug, Default)]
pub struct Found {
    /// By their names, `vendor.com/class=name`.
    devices: BTreeMap<String, Device>,
    /// What is wrong with files that are left out.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug)]
struct Device {
    /// The directory's number, to tell which description counts.
    rank: usize,
    path: PathBuf,
    /// What all devices of the file add.
    common: Edits,
    own: Edits,
}

impl Found {
    /// Reads the directories; one that is not there holds nothing. Blocks.
    #[must_use]
    pub fn read(directories: &[PathBuf]) -> Self {
        let mut found = Self::default();
        let mut conflicts = BTreeSet::new();
        for (rank, directory) in directories.iter().enumerate() {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths.iter().filter(|path| file::is_one(path)) {
                match File::read(path, LARGEST) {
                    Ok(file) => found.add(rank, path, file, &mut conflicts),
                    Err(reason) => {
                        let path = path.display();
                        found.warnings.push(format!("CDI: Error associated with spec file {path}: {reason}"));
                    }
                }
            }
        }
        for name in conflicts {
            found
                .warnings
                .push(format!("CDI: device {name} is described twice in one directory, and left out"));
            found.devices.remove(&name);
        }
        found
    }

    fn add(&mut self, rank: usize, path: &Path, file: File, conflicts: &mut BTreeSet<String>) {
        for device in file.devices {
            let name = format!("{}={}", file.kind, device.name);
            let (path, common) = (path.to_owned(), file.container_edits.clone());
            let new = Device { rank, path, common, own: device.container_edits };
            match self.devices.insert(name.clone(), new) {
                Some(before) if before.rank == rank => drop(conflicts.insert(name)),
                Some(_) => drop(conflicts.remove(&name)),
                None => {}
            }
        }
    }

    /// The names of all devices.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.devices.keys().map(String::as_str)
    }

    /// Adds devices to what a container is.
    fn inject(&self, spec: &mut Spec, names: &[String]) -> Result<(), CdiError> {
        let unknown = names.iter().filter(|name| !self.devices.contains_key(*name)).cloned();
        let unknown: Vec<String> = unknown.collect();
        if !unknown.is_empty() {
            return Err(CdiError::Unknown { names: unknown });
        }
        let mut files = BTreeSet::new();
        for name in names {
            let Some(device) = self.devices.get(name) else { continue };
            let failed = |reason| CdiError::Edit { device: name.clone(), reason };
            if files.insert(&device.path) {
                apply(&device.common, spec).map_err(failed)?;
            }
            apply(&device.own, spec).map_err(failed)?;
        }
        Ok(())
    }
}

/// Whether a request is for devices that are described here.
pub(super) fn serves(request: &DeviceRequest, directories: &[PathBuf]) -> bool {
    request.driver == DRIVER && !directories.is_empty()
}

/// Adds the devices of all requests that [`serves`] takes. Reads files where there is such a request.
pub(super) fn inject(
    spec: &mut Spec,
    requests: Option<&Vec<DeviceRequest>>,
    directories: &[PathBuf],
) -> Result<(), CdiError> {
    for request in requests.into_iter().flatten().filter(|request| serves(request, directories)) {
        if request.count != 0 {
            return Err(CdiError::Count);
        }
        if request.options.as_ref().is_some_and(|options| !options.is_empty()) {
            return Err(CdiError::Options);
        }
        let names = request.device_ids.clone().unwrap_or_default();
        Found::read(directories).inject(spec, &names)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use longshore_runtime::spec::{Linux, Process};

    use super::*;

    fn found(files: &[(&str, &str, &str)]) -> (tempfile::TempDir, Found) {
        let top = tempfile::tempdir().unwrap();
        for (directory, name, text) in files {
            std::fs::create_dir_all(top.path().join(directory)).unwrap();
            std::fs::write(top.path().join(directory).join(name), text).unwrap();
        }
        let found = Found::read(&["a", "b", "none"].map(|name| top.path().join(name)));
        (top, found)
    }

    const YAML: &str = "cdiVersion: \"0.3.0\"\nkind: \"vendor1.com/device\"\ndevices:\n- name: foo\n  containerEdits:\n    env:\n    - FOO=injected\n";

    fn json(name: &str, edits: &str) -> String {
        format!(
            r#"{{"cdiVersion": "0.5.0", "kind": "vendor1.com/device", "containerEdits": {{"env": ["ALL=1"]}},
                "devices": [{{"name": "{name}", "containerEdits": {edits}}}]}}"#
        )
    }

    fn spec() -> Spec {
        let process = Process { env: vec!["FOO=own".into()], ..Process::default() };
        Spec { process: Some(process), linux: Some(Linux::default()), ..Spec::default() }
    }

    #[test]
    fn devices_are_added_by_name() {
        let edits = r#"{"deviceNodes": [{"path": "/dev/zero2", "hostPath": "/dev/zero", "permissions": "r"}],
            "mounts": [{"hostPath": "/usr", "containerPath": "/opt/usr", "options": ["ro"]}],
            "hooks": [{"hookName": "createContainer", "path": "/bin/true", "args": ["true"]}],
            "additionalGids": [44]}"#;
        let (_top, found) = found(&[("a", "x.yaml", YAML), ("a", "y.json", &json("bar", edits))]);
        assert_eq!(found.names().collect::<Vec<_>>(), ["vendor1.com/device=bar", "vendor1.com/device=foo"]);
        let mut spec = spec();
        let names = ["vendor1.com/device=foo", "vendor1.com/device=bar"].map(String::from);
        found.inject(&mut spec, &names).unwrap();
        let (process, linux) = (spec.process.unwrap(), spec.linux.unwrap());
        assert_eq!(process.env, ["FOO=injected", "ALL=1"]);
        assert_eq!(process.user.additional_gids, [44]);
        let device = &linux.devices[0];
        assert_eq!((device.path.as_str(), device.major, device.minor), ("/dev/zero2", 1, 5));
        let rules = linux.resources.unwrap().devices;
        assert_eq!((rules[0].minor, rules[0].access.as_str()), (Some(5), "r"));
        assert_eq!((spec.mounts[0].kind.as_str(), spec.mounts[0].options[0].as_str()), ("bind", "ro"));
        assert_eq!(spec.hooks.unwrap().create_container[0].path, "/bin/true");
        let message =
            found.inject(&mut self::spec(), &["vendor1.com/device=x".into()]).unwrap_err().to_string();
        assert_eq!(message, "CDI device injection failed: unresolvable CDI devices vendor1.com/device=x");
    }

    #[test]
    fn later_directories_count_and_conflicts_are_told() {
        let one = json("foo", r#"{"env": ["FOO=b"]}"#);
        let (_top, both) = found(&[("a", "x.yaml", YAML), ("b", "x.json", &one)]);
        let mut changed = spec();
        both.inject(&mut changed, &["vendor1.com/device=foo".into()]).unwrap();
        assert_eq!(changed.process.unwrap().env, ["FOO=b", "ALL=1"]);
        let (_top, twice) = found(&[("a", "x.yaml", YAML), ("a", "y.json", &one), ("a", "z.json", "{")]);
        assert_eq!(twice.names().count(), 0);
        assert_eq!(twice.warnings.len(), 2, "{:?}", twice.warnings);
    }

    #[test]
    fn what_is_no_description_is_told() {
        for text in [
            "",
            "[]",
            r#"{"kind": "x", "devices": []}"#,
            r#"{"cdiVersion": "9.0.0", "kind": "a.b/c", "devices": [{"name": "x"}]}"#,
            r#"{"cdiVersion": "0.5.0", "kind": "nonsense", "devices": [{"name": "x"}]}"#,
            r#"{"cdiVersion": "0.5.0", "kind": "a.b/c", "devices": [{"name": "a b"}]}"#,
            r#"{"cdiVersion": "0.5.0", "kind": "a.b/c", "devices": []}"#,
        ] {
            let (_top, found) = found(&[("a", "x.json", text), ("a", "readme.txt", "x")]);
            assert_eq!((found.names().count(), found.warnings.len()), (0, 1), "{text}");
        }
    }
}
