//! From a spec to a [`Plan`]: everything that `apply` will do, with every name resolved to the
//! kernel's number and every contradiction found.
//!
//! Planning is pure: it opens nothing and asks the kernel nothing (the host's cgroup layout comes in
//! as an argument), so a bad spec fails before any side effect. A plan is plain data and can be sent
//! to another process.

mod error;
mod mounts;
mod namespaces;
mod net_devices;
mod process;
mod rootfs;
mod sysctl;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use longshore_types::ContainerId;
use serde::{Deserialize, Serialize};

use crate::{
    cgroup,
    external::External,
    seccomp,
    spec::{Hooks, IdMapping, NetDevice, Spec},
};

pub use error::PlanError;
pub use mounts::{IdMap, KNOWN_OPTIONS, MountKind, MountStep, Propagation};
pub use namespaces::Namespaces;
pub use process::{
    CAPABILITIES, CapabilityMasks, MemoryPolicyPlan, ProcessPlan, RlimitPlan, personality, plan_process,
};
pub use rootfs::{DeviceNode, Rootfs};

/// What the caller decides beside the spec.
#[derive(Clone, Debug)]
pub struct Options {
    pub id: ContainerId,
    pub cgroup_driver: cgroup::Driver,
    /// `chroot` after moving the root over `/`, for a root file system on the initial ramfs.
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// Descriptors 3 to 3 + n − 1 of the caller stay open in the container.
    pub preserve_fds: u32,
    /// The caller has no privileges of its own.
    pub rootless: bool,
}

/// One container, ready to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub id: ContainerId,
    /// Absolute.
    pub bundle: PathBuf,
    pub namespaces: Namespaces,
    pub cgroup: cgroup::Plan,
    pub rootfs: Rootfs,
    pub hostname: String,
    pub domainname: String,
    /// Paths below `/proc/sys` and what to write.
    pub sysctls: Vec<(String, String)>,
    /// Host interfaces to move into the container's network namespace.
    pub net_devices: BTreeMap<String, NetDevice>,
    pub process: ProcessPlan,
    pub seccomp: Option<seccomp::Filter>,
    pub hooks: Hooks,
    /// What hooks get on their stdin, beside the status and PID.
    pub annotations: BTreeMap<String, String>,
    /// Name of the session keyring to join, where one is wanted.
    pub keyring: Option<String>,
    pub preserve_fds: u32,
    pub rootless: bool,
    /// Another's runtime that makes the container instead of this one.
    pub external: Option<External>,
    /// Things in the spec that were left out, for the log.
    pub warnings: Vec<String>,
}

/// Makes the plan for `spec` of the bundle at the absolute path `bundle`.
pub fn plan(spec: &Spec, bundle: &Path, options: &Options, host: &cgroup::Layout) -> Result<Plan, PlanError> {
    check_version(&spec.oci_version)?;
    let none = Default::default();
    let linux = spec.linux.as_ref().unwrap_or(&none);
    let mut warnings = Vec::new();
    let namespaces = namespaces::plan(linux)?;
    let process = spec.process.as_ref().ok_or(PlanError::Missing { field: "process" })?;
    let mut process = process::plan_process(process, &mut warnings)?;
    process.memory_policy = process::memory_policy(linux)?;
    process.personality = process::personality(linux)?;
    for (field, text) in [
        ("hostname", &spec.hostname),
        ("domainname", &spec.domainname),
        ("process.apparmorProfile", &process.apparmor_profile),
        ("process.selinuxLabel", &process.selinux_label),
        ("linux.mountLabel", &linux.mount_label),
    ] {
        if text.contains('\0') {
            return Err(PlanError::Nul { field: field.into() });
        }
    }
    if !spec.hostname.is_empty() && !namespaces.has(crate::spec::NamespaceKind::Uts) {
        return Err(PlanError::NeedsNamespace { field: "hostname", namespace: "uts" });
    }
    if !spec.domainname.is_empty() && !namespaces.has(crate::spec::NamespaceKind::Uts) {
        return Err(PlanError::NeedsNamespace { field: "domainname", namespace: "uts" });
    }
    let net_devices = net_devices::plan(&linux.net_devices, &namespaces, options.rootless)?;
    if linux.intel_rdt.is_some() {
        return Err(PlanError::Unsupported { field: "linux.intelRdt", what: "cache allocation".into() });
    }
    let seccomp = match &linux.seccomp {
        Some(profile) => seccomp::compile(profile)?,
        None => None,
    };
    warnings.extend(seccomp.iter().flat_map(|filter| filter.warnings.iter().cloned()));
    hooks(spec.hooks.as_ref())?;
    Ok(Plan {
        id: options.id.clone(),
        bundle: bundle.to_owned(),
        cgroup: cgroup::plan(spec, &options.id, options.cgroup_driver, host, options.rootless)?,
        rootfs: rootfs::plan(spec, linux, bundle, &namespaces, options, &mut warnings)?,
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        sysctls: sysctl::plan(&linux.sysctl, &namespaces)?,
        net_devices,
        namespaces,
        process,
        seccomp,
        hooks: spec.hooks.clone().unwrap_or_default(),
        annotations: spec.annotations.clone(),
        keyring: (!options.no_new_keyring).then(|| format!("_ses.{}", options.id)),
        preserve_fds: options.preserve_fds,
        rootless: options.rootless,
        external: None,
        warnings,
    })
}

/// Takes any 1.x version, as the specification's semantic versioning promises.
fn check_version(version: &str) -> Result<(), PlanError> {
    if version.is_empty() {
        return Err(PlanError::Missing { field: "ociVersion" });
    }
    let bad = || PlanError::Invalid { field: "ociVersion".into(), value: version.into() };
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = core.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(0 | 1)), Some(Ok(_)), Some(Ok(_)), None) => Ok(()),
        _ => Err(bad()),
    }
}

fn hooks(hooks: Option<&Hooks>) -> Result<(), PlanError> {
    let Some(hooks) = hooks else { return Ok(()) };
    let kinds = [
        ("hooks.prestart", &hooks.prestart),
        ("hooks.createRuntime", &hooks.create_runtime),
        ("hooks.createContainer", &hooks.create_container),
        ("hooks.startContainer", &hooks.start_container),
        ("hooks.poststart", &hooks.poststart),
        ("hooks.poststop", &hooks.poststop),
    ];
    for (kind, list) in kinds {
        for (index, hook) in list.iter().enumerate() {
            if !hook.path.starts_with('/') {
                return Err(PlanError::NotAbsolute {
                    field: format!("{kind}[{index}].path"),
                    path: hook.path.clone(),
                });
            }
            if hook.timeout.is_some_and(|timeout| timeout <= 0) {
                return Err(PlanError::Invalid {
                    field: format!("{kind}[{index}].timeout"),
                    value: hook.timeout.unwrap_or_default().to_string(),
                });
            }
        }
    }
    Ok(())
}

/// Checks that mappings name ids and do not overlap.
fn check_mappings(field: &str, mappings: &[IdMapping]) -> Result<(), PlanError> {
    let overlap = |a: u32, b: u32, a_size: u32, b_size: u32| {
        u64::from(a) < u64::from(b) + u64::from(b_size) && u64::from(b) < u64::from(a) + u64::from(a_size)
    };
    for (index, one) in mappings.iter().enumerate() {
        if one.size == 0 {
            return Err(PlanError::Invalid { field: format!("{field}[{index}].size"), value: "0".into() });
        }
        for other in &mappings[..index] {
            if overlap(one.container_id, other.container_id, one.size, other.size)
                || overlap(one.host_id, other.host_id, one.size, other.size)
            {
                return Err(PlanError::Conflict {
                    field: format!("{field}[{index}]"),
                    with: "an earlier mapping",
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
