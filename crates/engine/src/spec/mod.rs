//! What a container is asked to be, brought from Docker's words to the runtime's.
//!
//! ```text
//! create:  image's config ─┐
//!          Config, HostConfig ─▶ defaults ─▶ validate ─▶ Record
//! start:   Record, Host, Inputs ─▶ build ─▶ the runtime's Spec
//! ```
//!
//! [`Host`] is asked once, when the daemon starts; [`Settings`] are the daemon's configuration; [`Inputs`] is what
//! others have made for this start: network, volumes, files. [`build`] touches nothing, and reads device nodes and
//! descriptions of devices of the host and nothing else.
//!
//! What Docker takes, is taken; where Docker refuses, its words are used. What the kernel cannot hold is told as a
//! warning at `create` and taken away there, as in Docker, and so `inspect` shows it.

mod apparmor;
mod capability;
pub mod cdi;
mod defaults;
mod device;
mod error;
mod host;
pub mod mode;
mod mounts;
mod namespaces;
pub mod point;
mod process;
pub(crate) mod resources;
mod seccomp;
mod security;
mod settings;
pub mod shm;
mod sysctl;
#[cfg(test)]
pub(crate) mod tests;
mod tmpfs;
pub mod user;
mod validate;
pub mod workdir;

use std::{collections::BTreeMap, path::PathBuf};

use longshore_runtime::{
    cgroup::Driver,
    defaults::identity,
    spec::{Linux, Mount as RuntimeMount, OCI_VERSION, Root, Spec, User},
};
use longshore_types::ContainerId;

pub use capability::CapabilityError;
pub use defaults::{defaults, hostname};
pub use device::DeviceError;
pub use error::Error;
pub use host::Host;
pub use mounts::{EtcPaths, INIT, ResolvedMount};
pub use namespaces::{Joins, NetworkNamespace};
pub use process::{PATH, UlimitError, check_ulimit, environment, merge_environment};
pub use seccomp::{SeccompError, check as check_seccomp};
pub use security::SecurityError;
pub use settings::{BUILT_IN, Runtime, SHM_SIZE, Settings};
pub use sysctl::SysctlError;
pub use tmpfs::TmpfsError;
pub use user::UserError;
pub use validate::{Invalid, signal, validate, validate_update};

use crate::container::Record;

/// What has been made for one start of a container.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    pub settings: &'a Settings,
    /// Where the root is mounted, on the host.
    pub root: PathBuf,
    pub network: NetworkNamespace,
    pub joins: Joins,
    /// Volumes, binds and images. Not what is a tmpfs.
    pub mounts: Vec<ResolvedMount>,
    pub etc: EtcPaths,
    /// The `/dev/shm` that it shares with others (see [`shm`]).
    pub shm: Option<PathBuf>,
    /// From [`user::resolve`].
    pub user: User,
    /// The program that is mounted and executed where the container is to have an init.
    pub init: Option<PathBuf>,
}

/// Makes the runtime's spec of a container.
///
/// # Errors
/// What the record asks for is impossible on this host, or has changed since it was made: a device that is gone.
pub fn build(record: &Record, host: &Host, inputs: &Inputs<'_>) -> Result<Spec, Error> {
    let config = &record.host;
    let security = security::parse(config, inputs.settings)?;
    let capabilities = capability::of(config, host).map_err(Error::CapAdd)?;
    let writable_cgroups = security.writable_cgroups.unwrap_or(config.privileged);
    let (mounts, rootfs_propagation) = mounts::of(record, inputs, writable_cgroups)?;
    let rules = identity_rules();
    let (devices, rules) = device::of(config, rules, &inputs.settings.cdi_directories)?;
    let mut limits = resources::limits(&config.resources)?;
    limits.devices = rules;
    let seccomp = seccomp::of(&security, config.privileged, &capabilities, inputs.settings, host)?;
    let open = config.privileged || security.paths_unconfined;
    let paths =
        |asked: &Option<Vec<String>>| if open { Vec::new() } else { asked.clone().unwrap_or_default() };
    let uts = mode::plain(&config.uts_mode) != Some(mode::Mode::Host);
    let mut spec = Spec {
        oci_version: OCI_VERSION.into(),
        root: Some(Root { path: inputs.root.display().to_string(), readonly: config.readonly_rootfs }),
        hostname: if uts { record.config.hostname.clone() } else { String::new() },
        domainname: if uts { record.config.domainname.clone() } else { String::new() },
        mounts,
        annotations: config.annotations.clone().unwrap_or_default(),
        linux: Some(Linux {
            namespaces: namespaces::of(record, host, inputs)?,
            sysctl: sysctls(record, inputs),
            resources: Some(limits),
            cgroups_path: cgroups_path(&record.id, &config.resources.cgroup_parent, inputs.settings),
            devices,
            seccomp,
            rootfs_propagation,
            masked_paths: paths(&config.masked_paths),
            readonly_paths: paths(&config.readonly_paths),
            ..Linux::default()
        }),
        process: Some(process::of(record, inputs, &security, capabilities, host)?),
        ..Spec::default()
    };
    cdi::inject(&mut spec, config.resources.device_requests.as_ref(), &inputs.settings.cdi_directories)?;
    Ok(spec)
}

/// The device rules of every container.
fn identity_rules() -> Vec<longshore_runtime::spec::DeviceRule> {
    let spec = identity::spec("/", &[], identity::Host::default());
    spec.linux.and_then(|linux| linux.resources).map(|resources| resources.devices).unwrap_or_default()
}

fn sysctls(record: &Record, inputs: &Inputs<'_>) -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::new();
    // One that is shared has them from whoever made it.
    let own_network =
        inputs.network != NetworkNamespace::Host && mode::network_of(&record.host.network_mode).is_none();
    if own_network {
        sysctls.extend(identity::SYSCTLS.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    for (key, value) in record.host.sysctls.iter().flatten() {
        // The same key by another separator would be written twice.
        sysctls.retain(|other: &String, _| other.replace('/', ".") != key.replace('/', "."));
        sysctls.insert(key.clone(), value.clone());
    }
    sysctls
}

/// The cgroup of a container below its parent; a slice's name with systemd.
#[must_use]
pub fn cgroups_path(id: &ContainerId, parent: &str, settings: &Settings) -> String {
    let parent = if parent.is_empty() { &settings.cgroup_parent } else { parent };
    if settings.cgroup_driver == Driver::Systemd {
        let slice = if parent.is_empty() { "system.slice" } else { parent };
        return format!("{slice}:longshore:{id}");
    }
    let parent = if parent.is_empty() { "/longshore" } else { parent };
    format!("{}/{id}", parent.trim_end_matches('/'))
}
