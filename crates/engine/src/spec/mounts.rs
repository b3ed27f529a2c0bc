//! The mounts of a container: those of every one, and its own among them.

use std::{collections::BTreeSet, path::PathBuf};

use longshore_runtime::{defaults::identity, spec::Mount};
use longshore_types::container::{HostConfig, MountType};

use super::{
    Inputs, RuntimeMount,
    error::Error,
    mode::{self, Mode},
    point, tmpfs,
};
use crate::container::Record;

/// A mount whose source is known: the host's path of a bind, a volume, an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedMount {
    /// In the container.
    pub destination: String,
    /// On the host.
    pub source: PathBuf,
    pub writable: bool,
    /// One of `point::PROPAGATIONS`; empty for the default.
    pub propagation: String,
    /// Whether what is mounted below the source stays out.
    pub non_recursive: bool,
    /// Whether a read-only mount lets what is mounted below it be written to.
    pub read_only_non_recursive: bool,
}

/// Where the files are that a container has of its host: `None` for one that it does not get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcPaths {
    pub hosts: Option<PathBuf>,
    pub hostname: Option<PathBuf>,
    pub resolv_conf: Option<PathBuf>,
}

/// The destination of the program that reaps orphans.
pub const INIT: &str = "/sbin/docker-init";

/// All mounts in their order, and the propagation of the root that they ask for.
pub(super) fn of(
    record: &Record,
    inputs: &Inputs<'_>,
    writable_cgroups: bool,
) -> Result<(Vec<RuntimeMount>, String), Error> {
    let host = &record.host;
    let mut own = own(record, inputs)?;
    // Whatever lies below another mount comes after it.
    own.sort_by_key(|mount| mount.destination.matches('/').count());
    let taken: BTreeSet<&str> = own.iter().map(|mount| mount.destination.as_str()).collect();
    let mut mounts: Vec<RuntimeMount> =
        identity::MOUNTS.iter().filter_map(|row| default(row, host, inputs, &taken)).collect();
    for mount in &mut mounts {
        let cgroups = mount.kind == "cgroup";
        let system = mount.destination == "/sys";
        if cgroups && writable_cgroups || system && host.privileged {
            mount.options.retain(|option| option != "ro");
        }
        let kept = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"];
        let writable = !mount.options.iter().any(|option| option == "ro");
        let stays = kept.contains(&mount.destination.as_str()) || cgroups && writable_cgroups;
        if host.readonly_rootfs && writable && !stays {
            mount.options.push("ro".into());
        }
    }
    let propagation = root_propagation(inputs);
    mounts.extend(own);
    Ok((mounts, propagation))
}

/// A mount of every container, unless this one has its own there.
fn default(
    (destination, kind, options): &(&str, &str, &[&str]),
    host: &HostConfig,
    inputs: &Inputs<'_>,
    taken: &BTreeSet<&str>,
) -> Option<RuntimeMount> {
    let below_dev = destination.starts_with("/dev/") && taken.contains("/dev");
    if taken.contains(destination) || below_dev {
        return None;
    }
    let mut mount = Mount {
        destination: (*destination).into(),
        kind: (*kind).into(),
        source: (*kind).into(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..Mount::default()
    };
    let ipc = mode::ipc(&host.ipc_mode).unwrap_or(Mode::Unset);
    if *destination == "/dev/shm" {
        match (ipc, &inputs.shm) {
            (Mode::None, _) => return None,
            (Mode::Host, _) => return Some(bind("/dev/shm", "/dev/shm", &["rbind", "rprivate"])),
            (_, Some(shm)) => return Some(bind(shm.to_str()?, "/dev/shm", &["rbind", "rprivate"])),
            (_, None) => {
                mount.options.retain(|option| !option.starts_with("size="));
                mount.options.push(format!("size={}", host.shm_size));
            }
        }
    }
    Some(mount)
}

fn bind(source: &str, destination: &str, options: &[&str]) -> RuntimeMount {
    Mount {
        destination: destination.into(),
        kind: "bind".into(),
        source: source.into(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..Mount::default()
    }
}

/// What this container asks for, in no order.
fn own(record: &Record, inputs: &Inputs<'_>) -> Result<Vec<RuntimeMount>, Error> {
    let mut mounts = Vec::new();
    let empty = String::new();
    for (destination, options) in record.host.tmpfs.iter().flatten() {
        mounts.push(tmpfs::mount(point::clean(destination), options.split(','))?);
    }
    for asked in record.host.mounts.iter().flatten().filter(|mount| mount.kind == MountType::Tmpfs) {
        let options = point::tmpfs_options(asked.tmpfs_options.as_ref(), asked.read_only)
            .map_err(|why| point::PointError::Mount { kind: MountType::Tmpfs, why })?;
        let words = options.iter().chain(options.is_empty().then_some(&empty));
        mounts.push(tmpfs::mount(point::clean(&asked.target), words.map(String::as_str))?);
    }
    for mount in &inputs.mounts {
        mounts.push(resolved(mount)?);
    }
    let files = [
        (&inputs.etc.resolv_conf, "/etc/resolv.conf"),
        (&inputs.etc.hostname, "/etc/hostname"),
        (&inputs.etc.hosts, "/etc/hosts"),
    ];
    for (source, destination) in files {
        let Some(source) = source else { continue };
        if mounts.iter().any(|mount| mount.destination == destination) {
            continue;
        }
        let writable = if record.host.readonly_rootfs { "ro" } else { "rw" };
        mounts.push(bind(utf8(source)?, destination, &["rbind", "rprivate", writable]));
    }
    if let Some(program) = inputs.init.as_ref().filter(|_| super::process::has_init(record, inputs)) {
        mounts.push(bind(utf8(program)?, INIT, &["bind", "ro"]));
    }
    Ok(mounts)
}

fn utf8(path: &std::path::Path) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| Error::NotUtf8 { path: path.to_owned() })
}

fn resolved(mount: &ResolvedMount) -> Result<RuntimeMount, Error> {
    let mut options = vec![if mount.non_recursive { "bind" } else { "rbind" }];
    if !mount.writable {
        // Since Docker 25 what is mounted below is read-only too, unless somebody says otherwise.
        options.push(if mount.read_only_non_recursive { "ro" } else { "rro" });
    }
    options.push(if mount.propagation.is_empty() { point::DEFAULT_PROPAGATION } else { &mount.propagation });
    Ok(bind(utf8(&mount.source)?, &mount.destination, &options))
}

/// A mount that is to be shared needs a root that is; one that is to receive needs one that receives.
fn root_propagation(inputs: &Inputs<'_>) -> String {
    let any =
        |words: [&str; 2]| inputs.mounts.iter().any(|mount| words.contains(&mount.propagation.as_str()));
    if any(["shared", "rshared"]) {
        return "shared".into();
    }
    if any(["slave", "rslave"]) {
        return "rslave".into();
    }
    String::new()
}
