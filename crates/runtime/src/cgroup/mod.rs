//! A container's cgroups: version 1, version 2 and both at once.
//!
//! [`plan`] is pure: from a spec and the host's [`Layout`] it makes a [`Plan`], which says for each
//! mounted hierarchy the directory to make and what to write there. [`Cgroup::create`] acts on it:
//! the directories are made and every limit is written before the first process is inside.
//! [`Cgroup::record`] is what the state file keeps, from which [`Cgroup::open`] finds them again.
//!
//! A controller lives in one hierarchy: version 1 where it is mounted, else version 2. No code asks
//! which of three "modes" the host is in; a host may mount version 1 for one controller alone.
//!
//! **Nothing here waits for RCU.** The kernel makes whoever writes a PID into `cgroup.procs` wait for
//! a grace period (5 to 16 ms, measured). A task that writes `0` into version 1's `tasks` while it is
//! the only thread of its process does not wait (kernel: `cgroup_procs_write_start`), nor does
//! `CLONE_INTO_CGROUP`. So [`Joiner`] hands the child open files: processes join by themselves.

mod create;
mod device;
mod error;
mod file;
mod freeze;
mod join;
mod layout;
mod limit;
mod oom;
mod place;
mod plan;
mod process;
mod remove;
mod signal;
mod stats;
mod systemd;
mod update;
mod view;

use std::{
    cell::RefCell,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use error::CgroupError;
pub use join::Joiner;
pub use layout::{Hierarchy, Kind, Layout, Version};
pub use oom::{OomEvent, OomWatch};
pub use plan::{Plan, plan};
pub use stats::{BlkioEntry, Stats};
pub use systemd::BusError;
pub use view::{HierarchyView, View};

/// Who makes the cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// This runtime, through the file system.
    Cgroupfs,
    /// Systemd, as a transient scope; this runtime adds what systemd has no word for.
    Systemd,
    /// Nobody: the container stays in its parent's.
    Disabled,
}

/// The cgroups of one container, for its state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub driver: Driver,
    /// The scope, with the systemd driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    pub groups: Vec<GroupRecord>,
}

/// The cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// `1` or `2`.
    pub version: u8,
    /// As in [`Hierarchy::controllers`].
    pub controllers: Vec<String>,
    pub path: PathBuf,
}

/// The open cgroups of one container. Dropping it leaves them as they are.
#[derive(Debug)]
pub struct Cgroup {
    driver: Driver,
    unit: Option<String>,
    groups: Vec<Group>,
    /// What keeps a scope alive until the container is in it.
    placeholder: RefCell<Option<systemd::Placeholder>>,
}

/// The open cgroup in one hierarchy.
#[derive(Debug)]
struct Group {
    version: Version,
    controllers: Vec<String>,
    path: PathBuf,
    dir: OwnedFd,
}

impl Cgroup {
    /// Opens the cgroups of a running or stopped container. One that is gone is left out.
    pub fn open(record: &Record) -> Result<Self, CgroupError> {
        let mut groups = Vec::with_capacity(record.groups.len());
        for group in &record.groups {
            match file::open_dir(&group.path) {
                Ok(dir) => groups.push(Group {
                    version: if group.version == 1 { Version::V1 } else { Version::V2 },
                    controllers: group.controllers.clone(),
                    path: group.path.clone(),
                    dir,
                }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(CgroupError::Open { path: group.path.clone(), source }),
            }
        }
        Ok(Self { driver: record.driver, unit: record.unit.clone(), groups, placeholder: RefCell::default() })
    }

    /// Says that the container's first process is inside: with the systemd driver, the one that held
    /// its place goes. Dropping the cgroup says so too.
    pub fn settle(&self) {
        drop(self.placeholder.take());
    }

    /// What [`Cgroup::open`] needs.
    #[must_use]
    pub fn record(&self) -> Record {
        let groups = self.groups.iter().map(|group| GroupRecord {
            version: if group.version == Version::V1 { 1 } else { 2 },
            controllers: group.controllers.clone(),
            path: group.path.clone(),
        });
        Record { driver: self.driver, unit: self.unit.clone(), groups: groups.collect() }
    }

    /// The cgroup that has `controller`, by the rule of `limit::Homes`.
    fn group(&self, controller: &'static str) -> Option<&Group> {
        self.homes().of(controller).map(|(index, _)| &self.groups[index])
    }

    fn homes(&self) -> limit::Homes<'_> {
        limit::Homes(self.groups.iter().map(|group| (group.version, &*group.controllers)).collect())
    }

    /// The directory of the cgroup with `controller`, for logs and messages.
    #[must_use]
    pub fn path(&self, controller: &'static str) -> Option<&Path> {
        self.group(controller).map(|group| &*group.path)
    }
}
