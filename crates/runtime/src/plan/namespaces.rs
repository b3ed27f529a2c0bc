use longshore_sys::clone::flags;
use serde::{Deserialize, Serialize};

use super::{PlanError, check_mappings};
use crate::spec::{IdMapping, Linux, NamespaceKind};

/// Which namespaces are made and which are joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Clone flags of the new ones.
    pub new: u64,
    /// Kinds and paths of the ones to join, the user namespace first: it gives the rights to the rest.
    pub join: Vec<(NamespaceKind, String)>,
    pub uid_map: Vec<IdMapping>,
    pub gid_map: Vec<IdMapping>,
    /// Lines for `/proc/self/timens_offsets`.
    pub time_offsets: String,
}

impl NamespaceKind {
    /// The kind's clone flag.
    #[must_use]
    pub fn flag(self) -> u64 {
        match self {
            Self::User => flags::NEWUSER,
            Self::Pid => flags::NEWPID,
            Self::Network => flags::NEWNET,
            Self::Mount => flags::NEWNS,
            Self::Ipc => flags::NEWIPC,
            Self::Uts => flags::NEWUTS,
            Self::Cgroup => flags::NEWCGROUP,
            Self::Time => flags::NEWTIME,
        }
    }
}

impl Namespaces {
    /// Whether a new namespace of this kind is made.
    #[must_use]
    pub fn makes(&self, kind: NamespaceKind) -> bool {
        self.new & kind.flag() != 0
    }

    /// Whether one of this kind is joined.
    #[must_use]
    pub fn joins(&self, kind: NamespaceKind) -> bool {
        self.join.iter().any(|(joined, _)| *joined == kind)
    }

    /// Whether the container has one of this kind apart from its caller's.
    #[must_use]
    pub fn has(&self, kind: NamespaceKind) -> bool {
        self.makes(kind) || self.joins(kind)
    }

    /// Clone flags of all kinds that the container has apart from its caller's.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.join.iter().fold(self.new, |all, (kind, _)| all | kind.flag())
    }
}

pub(super) fn plan(linux: &Linux) -> Result<Namespaces, PlanError> {
    let mut namespaces = Namespaces::default();
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        if namespaces.has(namespace.kind) {
            let field = format!("linux.namespaces[{index}]");
            return Err(PlanError::Conflict { field, with: "an earlier namespace of the same type" });
        }
        if namespace.path.is_empty() {
            namespaces.new |= namespace.kind.flag();
        } else if namespace.path.starts_with('/') {
            namespaces.join.push((namespace.kind, namespace.path.clone()));
        } else {
            let field = format!("linux.namespaces[{index}].path");
            return Err(PlanError::NotAbsolute { field, path: namespace.path.clone() });
        }
    }
    namespaces.join.sort();
    mappings(linux, &mut namespaces)?;
    time_offsets(linux, &mut namespaces)?;
    Ok(namespaces)
}

fn mappings(linux: &Linux, namespaces: &mut Namespaces) -> Result<(), PlanError> {
    check_mappings("linux.uidMappings", &linux.uid_mappings)?;
    check_mappings("linux.gidMappings", &linux.gid_mappings)?;
    if namespaces.makes(NamespaceKind::User) {
        if linux.uid_mappings.is_empty() {
            return Err(PlanError::Missing { field: "linux.uidMappings" });
        }
        if linux.gid_mappings.is_empty() {
            return Err(PlanError::Missing { field: "linux.gidMappings" });
        }
        namespaces.uid_map.clone_from(&linux.uid_mappings);
        namespaces.gid_map.clone_from(&linux.gid_mappings);
    } else if !namespaces.joins(NamespaceKind::User) {
        for (field, list) in
            [("linux.uidMappings", &linux.uid_mappings), ("linux.gidMappings", &linux.gid_mappings)]
        {
            if !list.is_empty() {
                return Err(PlanError::NeedsNamespace { field, namespace: "user" });
            }
        }
    }
    Ok(())
}

fn time_offsets(linux: &Linux, namespaces: &mut Namespaces) -> Result<(), PlanError> {
    for (clock, offset) in &linux.time_offsets {
        if !namespaces.makes(NamespaceKind::Time) {
            return Err(PlanError::NeedsNamespace { field: "linux.timeOffsets", namespace: "time" });
        }
        if clock != "monotonic" && clock != "boottime" {
            return Err(PlanError::Invalid { field: "linux.timeOffsets".into(), value: clock.clone() });
        }
        if offset.nanosecs >= 1_000_000_000 {
            let field = format!("linux.timeOffsets.{clock}.nanosecs");
            return Err(PlanError::Invalid { field, value: offset.nanosecs.to_string() });
        }
        let line = format!("{clock} {} {}\n", offset.secs, offset.nanosecs);
        namespaces.time_offsets.push_str(&line);
    }
    Ok(())
}
