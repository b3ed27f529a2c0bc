use std::collections::BTreeMap;

use super::{Namespaces, PlanError};
use crate::spec::NamespaceKind;

/// The IPC namespace's own keys below `kernel.` (sysctl/kernel of the kernel's documentation).
const IPC: [&str; 7] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

/// Accepts only what belongs to a namespace that the container has for itself: anything else would
/// change the host (CVE-2022-0811, GHSA-w2j5-3rcx-vx7x).
pub(super) fn plan(
    sysctls: &BTreeMap<String, String>,
    namespaces: &Namespaces,
) -> Result<Vec<(String, String)>, PlanError> {
    let mut planned = Vec::with_capacity(sysctls.len());
    for (key, value) in sysctls {
        let path = path(key)?;
        let dotted = path.replace('/', ".");
        let (kind, namespace) = match dotted.as_str() {
            key if key.starts_with("net.") => (NamespaceKind::Network, "network"),
            key if key.starts_with("fs.mqueue.") => (NamespaceKind::Ipc, "ipc"),
            key if IPC.contains(&key) || key == "kernel.shm_rmid_forced" => (NamespaceKind::Ipc, "ipc"),
            "kernel.domainname" => (NamespaceKind::Uts, "uts"),
            _ => return Err(PlanError::SysctlOfHost { key: key.clone() }),
        };
        if !namespaces.has(kind) {
            return Err(PlanError::SysctlNeedsNamespace { key: key.clone(), namespace });
        }
        // No sysctl takes these; a tool that joins `key=value` lists by them would be fooled. The
        // comma stays: net.ipv4.ip_local_reserved_ports takes it.
        if value.chars().any(|c| c.is_control() && c != '\t' || c == '+' || c == '=') {
            return Err(PlanError::Invalid { field: format!("linux.sysctl {key:?}"), value: value.clone() });
        }
        planned.push((path, value.clone()));
    }
    Ok(planned)
}

/// The path below `/proc/sys`. Either separator may be used; the first one that appears decides, so
/// that `net/ipv4/conf/eth0.1/rp_filter` keeps its dot (sysctl.d(5)).
fn path(key: &str) -> Result<String, PlanError> {
    let path = match key.find(['.', '/']) {
        Some(at) if key.as_bytes()[at] == b'.' => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect(),
        _ => key.to_owned(),
    };
    let good = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-:@".contains(&c))
    };
    if path.split('/').count() >= 2 && path.split('/').all(good) {
        Ok(path)
    } else {
        Err(PlanError::Invalid { field: "linux.sysctl".into(), value: key.into() })
    }
}
