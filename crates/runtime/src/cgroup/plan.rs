//! What to make and write, found before anything is touched.

use std::path::PathBuf;

use longshore_types::ContainerId;
use serde::{Deserialize, Serialize};

use super::{
    CgroupError, Driver, GroupRecord, Layout, Record,
    device::{self, Policy, Rule},
    layout::Version,
    limit::{self, Homes, Write},
    place::Place,
    systemd::{self, Unit},
};
use crate::spec::{NamespaceKind, Resources, Spec};

/// The cgroups that a container is to have. Says nothing that depends on the kernel's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub(super) driver: Driver,
    /// With the systemd driver.
    pub(super) unit: Option<Unit>,
    pub(super) groups: Vec<GroupPlan>,
    pub(super) devices: Devices,
    /// The user may not be allowed to make cgroups, and asked for none: then do without.
    pub(super) optional: bool,
    /// Limits were asked for (the first one's name): then do not do without.
    pub(super) wanted: Option<String>,
    /// Whom a version 2 cgroup is handed to, for a container that may write to its own.
    pub(super) owner: Option<u32>,
}

/// The cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupPlan {
    pub(super) version: u8,
    pub(super) controllers: Vec<String>,
    pub(super) mountpoint: PathBuf,
    /// Below the mount point.
    pub(super) path: PathBuf,
    /// Version 2: what to switch on for children on the way down.
    pub(super) enable: Vec<String>,
    pub(super) writes: Vec<Write>,
}

/// How the device rules are enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Devices {
    /// By the files of the version 1 cgroup with this index.
    Lists(usize, Policy),
    /// By a program on the version 2 cgroup with this index.
    Program(usize, Vec<Rule>),
    /// Not at all: the container has no cgroups.
    Open,
}

impl Plan {
    /// What finds the cgroups again, for a state file that is to know of them before they are made.
    #[must_use]
    pub fn record(&self) -> Record {
        let groups = self.groups.iter().map(|group| GroupRecord {
            version: group.version,
            controllers: group.controllers.clone(),
            path: group.mountpoint.join(&group.path),
        });
        let unit = self.unit.as_ref().map(|unit| unit.name.clone());
        Record { driver: self.driver, unit, groups: groups.collect() }
    }
}

/// Reads the cgroups that `spec` asks for.
///
/// `rootless` says that the caller has no privileges: without permission to make cgroups it does
/// without them, unless the spec has a path or limits.
///
/// # Errors
/// A limit that no hierarchy of `host` can hold, a bad path, a bad value; each names its field.
pub fn plan(
    spec: &Spec,
    id: &ContainerId,
    driver: Driver,
    host: &Layout,
    rootless: bool,
) -> Result<Plan, CgroupError> {
    let linux = spec.linux.as_ref();
    let none = Resources::default();
    let resources = linux.and_then(|linux| linux.resources.as_ref()).unwrap_or(&none);
    let path = linux.map_or("", |linux| &linux.cgroups_path);
    if driver == Driver::Disabled {
        return Ok(Plan::nothing());
    }
    if host.kind().is_none() && !rootless {
        return Err(CgroupError::NoHierarchy);
    }
    let homes = Homes(host.hierarchies().iter().map(|h| (h.version, &*h.controllers)).collect());
    let placed = limit::compile(resources, &homes)?;
    let wanted = placed.first().map(|placed| placed.write.field.clone());
    let (place, unit) = match driver {
        Driver::Systemd => {
            let mut unit = Unit::parse(path, id)?;
            unit.properties = systemd::properties(resources, &homes)?;
            unit.properties.extend(systemd::annotated(&spec.annotations)?);
            (Place::Root(unit.path().into()), Some(unit))
        }
        Driver::Cgroupfs | Driver::Disabled => (Place::parse(path, id)?, None),
    };
    let alone = host.hierarchies().len() == 1;
    let mut groups: Vec<GroupPlan> = host
        .hierarchies()
        .iter()
        .map(|hierarchy| GroupPlan {
            version: if hierarchy.version == Version::V1 { 1 } else { 2 },
            controllers: hierarchy.controllers.clone(),
            mountpoint: hierarchy.mountpoint.clone(),
            path: place.within(hierarchy),
            enable: if alone { hierarchy.controllers.clone() } else { Vec::new() },
            writes: Vec::new(),
        })
        .collect();
    for limit in placed {
        let group = &mut groups[limit.home];
        if group.version == 2 && !group.enable.contains(&limit.controller) {
            group.enable.push(limit.controller);
        }
        group.writes.push(limit.write);
    }
    let nodes = linux.map_or(&[][..], |linux| &linux.devices);
    let rules = device::rules(&resources.devices, nodes)?;
    let devices = match homes.of("devices") {
        Some((index, Version::V1)) => Devices::Lists(index, Policy::of(&rules)?),
        Some((index, Version::V2)) => Devices::Program(index, rules),
        None if rootless => Devices::Open,
        None => {
            return Err(CgroupError::NoController {
                field: "devices".to_owned(),
                controller: "devices".to_owned(),
            });
        }
    };
    Ok(Plan {
        driver,
        unit,
        groups,
        devices,
        optional: rootless && path.is_empty(),
        wanted,
        owner: owner(spec),
    })
}

impl Plan {
    fn nothing() -> Self {
        Self {
            driver: Driver::Disabled,
            unit: None,
            groups: Vec::new(),
            devices: Devices::Open,
            optional: true,
            wanted: None,
            owner: None,
        }
    }
}

/// The host's user behind the container's process, where it sees its own cgroup alone and may write
/// to it (runtime-spec, `config-linux.md`, cgroup ownership).
fn owner(spec: &Spec) -> Option<u32> {
    let linux = spec.linux.as_ref()?;
    let own_view = linux.namespaces.iter().any(|n| n.kind == NamespaceKind::Cgroup && n.path.is_empty());
    let writable = spec.mounts.iter().any(|mount| {
        mount.kind.starts_with("cgroup")
            && mount.destination.trim_end_matches('/') == "/sys/fs/cgroup"
            && !mount.options.iter().any(|option| option == "ro")
    });
    if !own_view || !writable {
        return None;
    }
    let user = spec.process.as_ref().map_or(0, |process| process.user.uid);
    if linux.uid_mappings.is_empty() {
        return Some(user);
    }
    linux.uid_mappings.iter().find_map(|map| {
        let offset = user.checked_sub(map.container_id).filter(|offset| *offset < map.size)?;
        map.host_id.checked_add(offset)
    })
}
