//! A file that describes devices, in JSON or YAML.

use std::{io::Read, path::Path};

use serde::Deserialize;

/// The newest version of the format that is understood.
const NEWEST: (u64, u64) = (1, 1);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct File {
    cdi_version: String,
    /// `vendor.com/class`.
    pub(super) kind: String,
    pub(super) devices: Vec<Entry>,
    pub(super) container_edits: Edits,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) container_edits: Edits,
}

/// What is added to a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Edits {
    pub(super) env: Vec<String>,
    pub(super) device_nodes: Vec<Node>,
    pub(super) net_devices: Vec<Interface>,
    pub(super) hooks: Vec<Hook>,
    pub(super) mounts: Vec<Mount>,
    #[serde(rename = "additionalGids")]
    pub(super) additional_gids: Vec<u32>,
    pub(super) intel_rdt: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Node {
    pub(super) path: String,
    /// Empty for the same.
    pub(super) host_path: String,
    /// Empty for that of the host's node.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) major: i64,
    pub(super) minor: i64,
    pub(super) file_mode: Option<u32>,
    pub(super) permissions: String,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Interface {
    pub(super) host_interface_name: String,
    pub(super) name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Hook {
    pub(super) hook_name: String,
    pub(super) path: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) timeout: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Mount {
    pub(super) host_path: String,
    pub(super) container_path: String,
    pub(super) options: Vec<String>,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// Whether a file is one, by its name.
pub(super) fn is_one(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json" || extension == "yaml")
}

impl File {
    /// Reads and checks a file; says what is wrong with it.
    pub(super) fn read(path: &Path, largest: u64) -> Result<Self, String> {
        let mut text = String::new();
        let opened =
            std::fs::File::open(path).and_then(|file| file.take(largest + 1).read_to_string(&mut text));
        opened.map_err(|error| error.to_string())?;
        if text.len() as u64 > largest {
            return Err(format!("it has more than {largest} bytes"));
        }
        let file: Self = if path.extension().is_some_and(|extension| extension == "json") {
            serde_json::from_str(&text).map_err(|error| error.to_string())?
        } else {
            serde_saphyr::from_str(&text).map_err(|error| error.to_string())?
        };
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), String> {
        let mut numbers = self.cdi_version.split('.').map(|number| number.parse::<u64>().ok());
        let version = numbers.next().flatten().zip(numbers.next().flatten());
        if version.is_none_or(|version| version > NEWEST) {
            return Err(format!("invalid version {:?}", self.cdi_version));
        }
        let kind = self.kind.split_once('/').is_some_and(|(vendor, class)| is_name(vendor) && is_name(class));
        if !kind {
            return Err(format!("invalid kind {:?}", self.kind));
        }
        if self.devices.is_empty() {
            return Err("it has no devices".into());
        }
        match self.devices.iter().find(|device| !is_name(&device.name)) {
            Some(device) => Err(format!("invalid device name {:?}", device.name)),
            None => Ok(()),
        }
    }
}

/// Letters and digits at both ends, and `_`, `-`, `.` and `:` between them.
fn is_name(text: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let between = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    ends(text.bytes().next()) && ends(text.bytes().last()) && text.bytes().all(between)
}
