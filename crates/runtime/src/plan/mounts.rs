use longshore_sys::mount::attr;
use serde::{Deserialize, Serialize};

use super::{PlanError, check_mappings};
use crate::spec::{IdMapping, Mount};

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// A tree of the host.
    Bind { recursive: bool },
    /// A file system of this type.
    Filesystem { name: String },
    /// The container's view of the host's cgroup hierarchies, whichever version they have.
    Cgroup,
    /// Change of attributes of what is mounted at the destination already.
    Remount,
}

/// Propagation of a mount's events, `MS_SHARED` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Propagation {
    pub flag: u64,
    pub recursive: bool,
}

/// Id mapping of one bind mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// Empty takes the container's user namespace.
    pub uid: Vec<IdMapping>,
    pub gid: Vec<IdMapping>,
    pub recursive: bool,
}

/// One mount, its options resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountStep {
    /// Absolute path in the container, without `.`, `..` and doubled slashes.
    pub destination: String,
    /// Absolute path on the host for binds, else what `/proc/mounts` shows.
    pub source: String,
    pub kind: MountKind,
    /// Mount attributes (`MOUNT_ATTR_*`) to set and to clear on this mount.
    pub set: u64,
    pub clear: u64,
    /// The same for this mount and all below it.
    pub recursive_set: u64,
    pub recursive_clear: u64,
    pub propagation: Vec<Propagation>,
    /// Flags of the superblock by `fsconfig` name (`sync`, `lazytime`).
    pub flags: Vec<String>,
    /// The file system's own options.
    pub data: Vec<(String, Option<String>)>,
    /// Fill a new tmpfs with what the destination held.
    pub copy_up: bool,
    pub id_map: Option<IdMap>,
}

enum Meaning {
    Set(u64),
    Clear(u64),
    AccessTime(u64),
    RecursiveSet(u64),
    RecursiveClear(u64),
    RecursiveAccessTime(u64),
    Propagation(u64, bool),
    Flag,
    Bind(bool),
    Remount,
    CopyUp,
    IdMap(bool),
    Nothing,
}

const SHARED: u64 = 1 << 20;
const SLAVE: u64 = 1 << 19;
const PRIVATE: u64 = 1 << 18;
const UNBINDABLE: u64 = 1 << 17;

/// The options with a meaning of their own (`config.md`, "Linux mount options"); any other one is
/// the file system's. `norelatime` takes away what is the kernel's default anyway.
#[rustfmt::skip]
const OPTIONS: &[(&str, Meaning)] = &[
    ("async", Meaning::Nothing),
    ("atime", Meaning::AccessTime(0)),
    ("bind", Meaning::Bind(false)),
    ("defaults", Meaning::Nothing),
    ("dev", Meaning::Clear(attr::NODEV)),
    ("diratime", Meaning::Clear(attr::NODIRATIME)),
    ("dirsync", Meaning::Flag),
    ("exec", Meaning::Clear(attr::NOEXEC)),
    ("idmap", Meaning::IdMap(false)),
    ("iversion", Meaning::Flag),
    ("lazytime", Meaning::Flag),
    ("loud", Meaning::Nothing),
    ("mand", Meaning::Flag),
    ("noatime", Meaning::AccessTime(attr::NOATIME)),
    ("nodev", Meaning::Set(attr::NODEV)),
    ("nodiratime", Meaning::Set(attr::NODIRATIME)),
    ("noexec", Meaning::Set(attr::NOEXEC)),
    ("noiversion", Meaning::Nothing),
    ("nolazytime", Meaning::Nothing),
    ("nomand", Meaning::Nothing),
    ("norelatime", Meaning::AccessTime(0)),
    ("nostrictatime", Meaning::AccessTime(0)),
    ("nosuid", Meaning::Set(attr::NOSUID)),
    ("nosymfollow", Meaning::Set(attr::NOSYMFOLLOW)),
    ("private", Meaning::Propagation(PRIVATE, false)),
    ("ratime", Meaning::RecursiveAccessTime(0)),
    ("rbind", Meaning::Bind(true)),
    ("rdev", Meaning::RecursiveClear(attr::NODEV)),
    ("rdiratime", Meaning::RecursiveClear(attr::NODIRATIME)),
    ("relatime", Meaning::AccessTime(0)),
    ("remount", Meaning::Remount),
    ("rexec", Meaning::RecursiveClear(attr::NOEXEC)),
    ("ridmap", Meaning::IdMap(true)),
    ("rnoatime", Meaning::RecursiveAccessTime(attr::NOATIME)),
    ("rnodev", Meaning::RecursiveSet(attr::NODEV)),
    ("rnodiratime", Meaning::RecursiveSet(attr::NODIRATIME)),
    ("rnoexec", Meaning::RecursiveSet(attr::NOEXEC)),
    ("rnorelatime", Meaning::RecursiveAccessTime(0)),
    ("rnostrictatime", Meaning::RecursiveAccessTime(0)),
    ("rnosuid", Meaning::RecursiveSet(attr::NOSUID)),
    ("rnosymfollow", Meaning::RecursiveSet(attr::NOSYMFOLLOW)),
    ("ro", Meaning::Set(attr::RDONLY)),
    ("rprivate", Meaning::Propagation(PRIVATE, true)),
    ("rrelatime", Meaning::RecursiveAccessTime(0)),
    ("rro", Meaning::RecursiveSet(attr::RDONLY)),
    ("rrw", Meaning::RecursiveClear(attr::RDONLY)),
    ("rshared", Meaning::Propagation(SHARED, true)),
    ("rslave", Meaning::Propagation(SLAVE, true)),
    ("rstrictatime", Meaning::RecursiveAccessTime(attr::STRICTATIME)),
    ("rsuid", Meaning::RecursiveClear(attr::NOSUID)),
    ("rsymfollow", Meaning::RecursiveClear(attr::NOSYMFOLLOW)),
    ("runbindable", Meaning::Propagation(UNBINDABLE, true)),
    ("rw", Meaning::Clear(attr::RDONLY)),
    ("shared", Meaning::Propagation(SHARED, false)),
    ("silent", Meaning::Nothing),
    ("slave", Meaning::Propagation(SLAVE, false)),
    ("strictatime", Meaning::AccessTime(attr::STRICTATIME)),
    ("suid", Meaning::Clear(attr::NOSUID)),
    ("symfollow", Meaning::Clear(attr::NOSYMFOLLOW)),
    ("sync", Meaning::Flag),
    ("tmpcopyup", Meaning::CopyUp),
    ("unbindable", Meaning::Propagation(UNBINDABLE, false)),
];

/// The names of [`OPTIONS`], sorted, for `features`.
pub const KNOWN_OPTIONS: [&str; OPTIONS.len()] = {
    let mut names = [""; OPTIONS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = OPTIONS[index].0;
        index += 1;
    }
    names
};

/// Paths of the host that a mount may speak of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    pub(super) bundle: &'a std::path::Path,
    pub(super) root: &'a std::path::Path,
}

/// Makes the step for the mount at `index` of the spec.
pub(super) fn plan(
    mount: &Mount,
    index: usize,
    places: Places<'_>,
    warnings: &mut Vec<String>,
) -> Result<MountStep, PlanError> {
    let field = |name: &str| format!("mounts[{index}].{name}");
    let texts = mount.options.iter().chain([&mount.source, &mount.kind]);
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err(PlanError::Nul { field: format!("mounts[{index}]") });
    }
    let destination = clean(&mount.destination).map(|path| inside(places.root, path)).ok_or_else(|| {
        PlanError::Invalid { field: field("destination"), value: mount.destination.clone() }
    })?;
    let mut step = MountStep {
        destination,
        source: mount.source.clone(),
        kind: MountKind::Filesystem { name: mount.kind.clone() },
        set: 0,
        clear: 0,
        recursive_set: 0,
        recursive_clear: 0,
        propagation: Vec::new(),
        flags: Vec::new(),
        data: Vec::new(),
        copy_up: false,
        id_map: None,
    };
    let mut bind = (mount.kind == "bind").then_some(true);
    let mut remount = false;
    for option in &mount.options {
        apply_option(&mut step, option, &mut bind, &mut remount);
    }
    id_map(mount, index, &mut step)?;
    step.kind = match (bind, remount, mount.kind.as_str()) {
        (_, true, _) => MountKind::Remount,
        (Some(recursive), ..) => {
            // The kernel ignores the options of a file system that was mounted long ago (and runc
            // passes them on to it); the warning says so.
            for (key, _) in step.data.drain(..) {
                warnings.push(format!("{}: {key:?} has no effect on a bind mount", field("options")));
            }
            step.source = host_path(&mount.source, places.bundle)
                .ok_or(PlanError::Missing { field: "the source of a bind mount" })?;
            MountKind::Bind { recursive }
        }
        (None, _, "cgroup" | "cgroup2") => MountKind::Cgroup,
        (None, _, "") => {
            return Err(PlanError::Invalid { field: field("type"), value: String::new() });
        }
        (None, _, name) => MountKind::Filesystem { name: name.into() },
    };
    inside_proc(&step)?;
    Ok(step)
}

fn apply_option(step: &mut MountStep, option: &str, bind: &mut Option<bool>, remount: &mut bool) {
    let known = OPTIONS.binary_search_by(|(name, _)| name.cmp(&option));
    let Ok(at) = known else {
        let (key, value) = match option.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (option, None),
        };
        if !key.is_empty() {
            step.data.push((key.to_owned(), value));
        }
        return;
    };
    let change = |set: &mut u64, clear: &mut u64, add: u64, remove: u64| {
        *set = (*set & !remove) | add;
        *clear = (*clear & !add) | remove;
    };
    match OPTIONS[at].1 {
        Meaning::Set(flag) => change(&mut step.set, &mut step.clear, flag, 0),
        Meaning::Clear(flag) => change(&mut step.set, &mut step.clear, 0, flag),
        Meaning::AccessTime(mode) => {
            step.set = (step.set & !attr::ATIME) | mode;
            step.clear |= attr::ATIME;
        }
        Meaning::RecursiveSet(flag) => change(&mut step.recursive_set, &mut step.recursive_clear, flag, 0),
        Meaning::RecursiveClear(flag) => change(&mut step.recursive_set, &mut step.recursive_clear, 0, flag),
        Meaning::RecursiveAccessTime(mode) => {
            step.recursive_set = (step.recursive_set & !attr::ATIME) | mode;
            step.recursive_clear |= attr::ATIME;
        }
        Meaning::Propagation(flag, recursive) => step.propagation.push(Propagation { flag, recursive }),
        Meaning::Flag => step.flags.push(option.to_owned()),
        Meaning::Bind(recursive) => *bind = Some(recursive),
        Meaning::Remount => *remount = true,
        Meaning::CopyUp => step.copy_up = true,
        Meaning::IdMap(recursive) => {
            step.id_map = Some(IdMap { uid: Vec::new(), gid: Vec::new(), recursive });
        }
        Meaning::Nothing => {}
    }
}

fn id_map(mount: &Mount, index: usize, step: &mut MountStep) -> Result<(), PlanError> {
    let field = |name: &str| format!("mounts[{index}].{name}");
    check_mappings(&field("uidMappings"), &mount.uid_mappings)?;
    check_mappings(&field("gidMappings"), &mount.gid_mappings)?;
    match (mount.uid_mappings.is_empty(), mount.gid_mappings.is_empty()) {
        (true, true) => Ok(()),
        (false, false) => {
            let recursive = step.id_map.as_ref().is_some_and(|map| map.recursive);
            let (uid, gid) = (mount.uid_mappings.clone(), mount.gid_mappings.clone());
            step.id_map = Some(IdMap { uid, gid, recursive });
            Ok(())
        }
        (true, false) => {
            Err(PlanError::Conflict { field: field("gidMappings"), with: "the lack of uidMappings" })
        }
        (false, true) => {
            Err(PlanError::Conflict { field: field("uidMappings"), with: "the lack of gidMappings" })
        }
    }
}

/// What may be mounted below `/proc`: files that LXCFS replaces (runc's list), and nothing that
/// could hide the files which security labels are written to (CVE-2019-16884).
const INSIDE_PROC: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

fn inside_proc(step: &MountStep) -> Result<(), PlanError> {
    let inside = step.destination.starts_with("/proc/");
    let allowed = INSIDE_PROC.contains(&step.destination.as_str())
        || step.kind == MountKind::Filesystem { name: "binfmt_misc".into() };
    let whole = step.destination == "/proc";
    let procfs = matches!(&step.kind, MountKind::Filesystem { name } if name == "proc")
        || matches!(&step.kind, MountKind::Bind { .. } | MountKind::Remount);
    // A bind onto /proc itself must be a procfs: that is seen when it is opened.
    if inside && !allowed || whole && !procfs {
        return Err(PlanError::InsideProc { destination: step.destination.clone() });
    }
    Ok(())
}

/// A destination that is written with the host's path of the root in front means what is behind that (runc's rule).
fn inside(root: &std::path::Path, destination: String) -> String {
    let root = root.to_str().and_then(clean).filter(|root| root != "/");
    let rest = root.and_then(|root| destination.strip_prefix(&root).map(str::to_owned));
    match rest {
        Some(rest) if rest.is_empty() => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest,
        _ => destination,
    }
}

/// A relative source is relative to the bundle (`config.md`, "Mounts").
fn host_path(source: &str, bundle: &std::path::Path) -> Option<String> {
    match source {
        "" => None,
        source if source.starts_with('/') => Some(source.to_owned()),
        source => bundle.join(source).to_str().map(str::to_owned),
    }
}

/// An absolute path without `.`, `..` and doubled slashes; `None` for an empty one or one with NUL.
///
/// A relative one is taken from the root, which runc tolerates too (with a warning).
pub(super) fn clean(path: &str) -> Option<String> {
    if path.is_empty() || path.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}
