//! What a description adds, put into a spec.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
};

use longshore_runtime::spec::{self, Device, DeviceRule, Hooks, Linux, NetDevice, Spec};

use super::file::{Edits, Hook, Node};

/// Adds all edits; says what is impossible.
pub(super) fn apply(edits: &Edits, spec: &mut Spec) -> Result<(), String> {
    if edits.intel_rdt.is_some() {
        return Err("intelRdt is not supported".into());
    }
    let process = spec.process.get_or_insert_default();
    for variable in &edits.env {
        let (name, _) =
            variable.split_once('=').ok_or_else(|| format!("invalid environment variable {variable:?}"))?;
        let same = |other: &String| other.split_once('=').is_some_and(|(other, _)| other == name);
        match process.env.iter_mut().find(|other| same(other)) {
            Some(other) => other.clone_from(variable),
            None => process.env.push(variable.clone()),
        }
    }
    for group in edits.additional_gids.iter().filter(|group| **group != 0) {
        if !process.user.additional_gids.contains(group) {
            process.user.additional_gids.push(*group);
        }
    }
    let linux = spec.linux.get_or_insert_default();
    for node in &edits.device_nodes {
        device(node, linux)?;
    }
    for interface in &edits.net_devices {
        let name = NetDevice { name: interface.name.clone() };
        linux.net_devices.insert(interface.host_interface_name.clone(), name);
    }
    for mount in &edits.mounts {
        if mount.host_path.is_empty() || !mount.container_path.starts_with('/') {
            return Err(format!("invalid mount of {:?} at {:?}", mount.host_path, mount.container_path));
        }
        spec.mounts.retain(|other| other.destination != mount.container_path);
        let mut options = mount.options.clone();
        let is_bind = matches!(mount.kind.as_str(), "" | "bind");
        if is_bind && !options.iter().any(|option| option == "bind" || option == "rbind") {
            options.push("rbind".into());
        }
        spec.mounts.push(spec::Mount {
            destination: mount.container_path.clone(),
            kind: if mount.kind.is_empty() { "bind".into() } else { mount.kind.clone() },
            source: mount.host_path.clone(),
            options,
            ..spec::Mount::default()
        });
    }
    let hooks = spec.hooks.get_or_insert_default();
    edits.hooks.iter().try_for_each(|hook| add_hook(hook, hooks))
}

/// Makes a node, and lets it be used. What the description leaves out is that of the host's node.
fn device(node: &Node, linux: &mut Linux) -> Result<(), String> {
    let host = if node.host_path.is_empty() { &node.path } else { &node.host_path };
    let mut device = Device {
        kind: node.kind.clone(),
        path: node.path.clone(),
        major: node.major,
        minor: node.minor,
        file_mode: node.file_mode,
        uid: node.uid,
        gid: node.gid,
    };
    if device.kind.is_empty() || (device.major == 0 && device.kind != "p") {
        let status = fs::metadata(host)
            .map_err(|error| format!("failed to stat CDI host device {host:?}: {error}"))?;
        let kind = match status.file_type() {
            kind if kind.is_char_device() => "c",
            kind if kind.is_block_device() => "b",
            kind if kind.is_fifo() => "p",
            _ => return Err(format!("{host:?} is no device")),
        };
        if !device.kind.is_empty() && device.kind != kind {
            return Err(format!("{host:?} is of type {kind}, not {}", device.kind));
        }
        device.kind = kind.into();
        device.major = rustix::fs::major(status.rdev()).into();
        device.minor = rustix::fs::minor(status.rdev()).into();
        device.file_mode.get_or_insert(status.mode() & 0o7777);
    }
    let access = if node.permissions.is_empty() { "rwm" } else { &node.permissions };
    if access != "none" && device.kind != "p" {
        linux.resources.get_or_insert_default().devices.push(DeviceRule {
            allow: true,
            kind: device.kind.clone(),
            major: Some(device.major),
            minor: Some(device.minor),
            access: access.into(),
        });
    }
    linux.devices.retain(|other| other.path != device.path);
    linux.devices.push(device);
    Ok(())
}

fn add_hook(hook: &Hook, hooks: &mut Hooks) -> Result<(), String> {
    let list = match hook.hook_name.as_str() {
        "prestart" => &mut hooks.prestart,
        "createRuntime" => &mut hooks.create_runtime,
        "createContainer" => &mut hooks.create_container,
        "startContainer" => &mut hooks.start_container,
        "poststart" => &mut hooks.poststart,
        "poststop" => &mut hooks.poststop,
        other => return Err(format!("unknown hook {other:?}")),
    };
    list.push(spec::Hook {
        path: hook.path.clone(),
        args: hook.args.clone(),
        env: hook.env.clone(),
        timeout: hook.timeout,
    });
    Ok(())
}
