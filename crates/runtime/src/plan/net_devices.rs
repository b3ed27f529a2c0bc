use std::collections::BTreeMap;

use super::{Namespaces, PlanError};
use crate::spec::{NamespaceKind, NetDevice};

/// `IFNAMSIZ` less the closing NUL.
const MAX_NAME: usize = 15;

/// Accepts what the kernel can move: good names, none of them twice (config-linux.md, Network Devices).
pub(super) fn plan(
    devices: &BTreeMap<String, NetDevice>,
    namespaces: &Namespaces,
    rootless: bool,
) -> Result<BTreeMap<String, NetDevice>, PlanError> {
    const FIELD: &str = "linux.netDevices";
    if devices.is_empty() {
        return Ok(BTreeMap::new());
    }
    if !namespaces.has(NamespaceKind::Network) {
        return Err(PlanError::NeedsNamespace { field: FIELD, namespace: "network" });
    }
    if rootless {
        return Err(PlanError::Unsupported {
            field: FIELD,
            what: "moving devices without privileges".into(),
        });
    }
    let mut taken = BTreeMap::new();
    for (host_name, device) in devices {
        if !is_valid(host_name) || host_name.contains('%') {
            return Err(PlanError::Invalid { field: FIELD.into(), value: host_name.clone() });
        }
        let field = || format!("{FIELD}.{host_name}.name");
        let name = if device.name.is_empty() { host_name } else { &device.name };
        let is_template = name.contains('%');
        if !is_valid(name) || is_template && name.replacen("%d", "", 1).contains('%') {
            return Err(PlanError::Invalid { field: field(), value: name.clone() });
        }
        if !is_template && taken.insert(name, host_name).is_some() {
            return Err(PlanError::Conflict {
                field: field(),
                with: "another device's name in the container",
            });
        }
    }
    Ok(devices.clone())
}

/// The kernel's own rule (`dev_valid_name`), and no control characters at all. Its `isspace` takes the
/// byte 0xa0, as in Latin 1.
fn is_valid(name: &str) -> bool {
    let bad = |byte: u8| byte.is_ascii_control() || matches!(byte, b'/' | b':' | b' ' | 0xa0);
    (1..=MAX_NAME).contains(&name.len()) && name != "." && name != ".." && !name.bytes().any(bad)
}
