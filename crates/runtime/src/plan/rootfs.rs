use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{MountKind, MountStep, Namespaces, Options, PlanError, mounts};
use crate::spec::{Device, Linux, NamespaceKind, Spec};

/// The container's file system tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// Absolute path of the root on the host.
    pub path: PathBuf,
    pub readonly: bool,
    /// Propagation of the root mount, `MS_*`.
    pub propagation: u64,
    pub mounts: Vec<MountStep>,
    /// Whether `/dev` gets nodes and links: not where the spec brings a `/dev` of the host.
    pub populate_dev: bool,
    pub devices: Vec<DeviceNode>,
    pub masked_paths: Vec<String>,
    pub readonly_paths: Vec<String>,
    /// SELinux context of the mounts.
    pub mount_label: String,
    pub no_pivot: bool,
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNode {
    pub path: String,
    /// Type (`S_IFCHR`, `S_IFBLK`, `S_IFIFO`) and permissions.
    pub mode: u32,
    pub major: u32,
    pub minor: u32,
    pub uid: u32,
    pub gid: u32,
}

const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;

/// The nodes that every container has (`config-linux.md`, "Default Devices").
const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

pub(super) fn plan(
    spec: &Spec,
    linux: &Linux,
    bundle: &Path,
    namespaces: &Namespaces,
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Rootfs, PlanError> {
    let root = spec.root.as_ref().ok_or(PlanError::Missing { field: "root" })?;
    if root.path.is_empty() {
        return Err(PlanError::Missing { field: "root.path" });
    }
    if root.path.contains('\0') {
        return Err(PlanError::Nul { field: "root.path".into() });
    }
    let path = bundle.join(&root.path);
    let mut steps = Vec::with_capacity(spec.mounts.len());
    for (index, mount) in spec.mounts.iter().enumerate() {
        if !mount.destination.starts_with('/') {
            warnings.push(format!("mounts[{index}].destination is relative: {:?}", mount.destination));
        }
        let step = mounts::plan(mount, index, mounts::Places { bundle, root: &path }, warnings)?;
        if step.id_map.as_ref().is_some_and(|map| map.uid.is_empty()) && !namespaces.has(NamespaceKind::User)
        {
            return Err(PlanError::Missing { field: "uidMappings of an id-mapped mount" });
        }
        steps.push(step);
    }
    let host_dev =
        |step: &MountStep| step.destination == "/dev" && matches!(step.kind, MountKind::Bind { .. });
    Ok(Rootfs {
        path,
        readonly: root.readonly,
        propagation: propagation(&linux.rootfs_propagation)?,
        populate_dev: !steps.iter().any(host_dev),
        mounts: steps,
        devices: devices(linux)?,
        masked_paths: paths("linux.maskedPaths", &linux.masked_paths)?,
        readonly_paths: paths("linux.readonlyPaths", &linux.readonly_paths)?,
        mount_label: linux.mount_label.clone(),
        no_pivot: options.no_pivot,
    })
}

fn propagation(name: &str) -> Result<u64, PlanError> {
    const REC: u64 = 1 << 14;
    Ok(match name {
        // runc's default: what the host mounts later is seen, nothing goes back.
        "" | "rslave" => 1 << 19 | REC,
        "slave" => 1 << 19,
        "private" => 1 << 18,
        "rprivate" => 1 << 18 | REC,
        "shared" => 1 << 20,
        "rshared" => 1 << 20 | REC,
        "unbindable" => 1 << 17,
        "runbindable" => 1 << 17 | REC,
        other => {
            let field = "linux.rootfsPropagation".into();
            return Err(PlanError::Invalid { field, value: other.into() });
        }
    })
}

/// A relative path starts at the container's root, as a mount's destination does.
fn paths(field: &'static str, list: &[String]) -> Result<Vec<String>, PlanError> {
    let cleaned = |(index, path): (usize, &String)| {
        mounts::clean(path)
            .ok_or_else(|| PlanError::Invalid { field: format!("{field}[{index}]"), value: path.clone() })
    };
    let mut paths = Vec::with_capacity(list.len());
    for path in list.iter().enumerate().map(cleaned) {
        let path = path?;
        // Twice would be two mounts.
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The default nodes, then the spec's; a spec's node replaces the default one of the same path.
fn devices(linux: &Linux) -> Result<Vec<DeviceNode>, PlanError> {
    let mut nodes: Vec<DeviceNode> = DEFAULT_DEVICES
        .iter()
        .map(|&(path, major, minor)| DeviceNode {
            path: path.into(),
            mode: CHARACTER | 0o666,
            major,
            minor,
            uid: 0,
            gid: 0,
        })
        .collect();
    for (index, device) in linux.devices.iter().enumerate() {
        let node = device_node(device, index)?;
        nodes.retain(|other| other.path != node.path);
        nodes.push(node);
    }
    Ok(nodes)
}

fn device_node(device: &Device, index: usize) -> Result<DeviceNode, PlanError> {
    let field = |name: &str| format!("linux.devices[{index}].{name}");
    let kind = match device.kind.as_str() {
        "c" | "u" => CHARACTER,
        "b" => BLOCK,
        "p" => FIFO,
        other => return Err(PlanError::Invalid { field: field("type"), value: other.into() }),
    };
    if !device.path.starts_with('/') {
        return Err(PlanError::NotAbsolute { field: field("path"), path: device.path.clone() });
    }
    let path = mounts::clean(&device.path)
        .ok_or_else(|| PlanError::Invalid { field: field("path"), value: device.path.clone() })?;
    let number = |name: &str, value: i64| {
        u32::try_from(value).map_err(|_| PlanError::Invalid { field: field(name), value: value.to_string() })
    };
    let mode = device.file_mode.unwrap_or(0o666);
    if mode > 0o7777 {
        return Err(PlanError::Invalid { field: field("fileMode"), value: mode.to_string() });
    }
    Ok(DeviceNode {
        path,
        mode: kind | mode,
        major: number("major", device.major)?,
        minor: number("minor", device.minor)?,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    })
}
