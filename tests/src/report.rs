//! What the probe says about the place it runs in: one JSON document, the same under every runtime.
//!
//! Results of opening something are words: `ok`, or the name of the errno (`EROFS`).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that the probe sees of its container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Inode of each `/proc/self/ns/*`.
    pub namespaces: BTreeMap<String, u64>,
    /// `/proc/self/mountinfo`, in its order.
    pub mounts: Vec<Mount>,
    /// Fields of `/proc/self/status` as they stand: `CapInh` … `CapAmb`, `NoNewPrivs`, `Seccomp`,
    /// `Seccomp_filters`, `Uid`, `Gid`, `Groups`, `Umask`, `NStgid`, `Threads`.
    pub status: BTreeMap<String, String>,
    /// Open descriptors but the one that lists them.
    pub descriptors: Vec<Descriptor>,
    /// Soft and hard limit of each line of `/proc/self/limits`.
    pub limits: BTreeMap<String, (String, String)>,
    /// Lines of `/proc/self/cgroup`: controllers to path.
    pub cgroups: BTreeMap<String, String>,
    /// What writing to a fresh file or `cgroup.procs` gives, per cgroup mount.
    pub cgroup_writes: BTreeMap<String, String>,
    /// Nodes and links under `/dev`, without mounted file systems.
    pub devices: Vec<Device>,
    /// Lines of `/proc/self/uid_map`: inside, outside, length.
    pub uid_map: Vec<(u32, u32, u32)>,
    /// Lines of `/proc/self/gid_map`.
    pub gid_map: Vec<(u32, u32, u32)>,
    /// From uname.
    pub hostname: String,
    /// From uname.
    pub domainname: String,
    /// Arguments, the program first.
    pub args: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Working directory, or the errno of asking.
    pub cwd: String,
    /// `/proc/self/oom_score_adj`.
    pub oom_score_adj: String,
    /// `/proc/self/personality`.
    pub personality: String,
    /// `/proc/self/attr/current`, where an LSM answers.
    pub label: String,
    /// `/proc/self/timens_offsets`: clock to (seconds, nanoseconds).
    pub time_offsets: BTreeMap<String, (i64, i64)>,
    /// Values of the sysctls that containers get by default.
    pub sysctls: BTreeMap<String, String>,
    /// Policy, priority and nice value from `/proc/self/stat`.
    pub scheduler: Scheduler,
    /// Process, parent, group and session ids, and the terminal.
    pub session: Session,
    /// CPUs and memory nodes that the process may use.
    pub allowed: BTreeMap<String, String>,
}

/// A line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it is.
    pub point: String,
    /// What part of the file system it shows.
    pub root: String,
    /// File system type.
    pub kind: String,
    /// Source as given.
    pub source: String,
    /// Per-mount options, sorted.
    pub options: Vec<String>,
    /// Per-superblock options, sorted.
    pub super_options: Vec<String>,
    /// `shared`, `master` and so on, without group numbers; empty is private.
    pub propagation: Vec<String>,
}

/// An open descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its number.
    pub number: i32,
    /// What `/proc/self/fd` shows.
    pub target: String,
}

/// An entry of `/dev`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path.
    pub path: String,
    /// `char`, `block`, `link`, `dir`, `file`, `fifo`, `socket`.
    pub kind: String,
    /// Major number, for devices.
    pub major: u32,
    /// Minor number, for devices.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Target, for links.
    pub target: String,
    /// What opening it for reading gives, for devices.
    pub open: String,
}

/// How the process is scheduled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    /// `SCHED_*` number.
    pub policy: u32,
    /// Real-time priority.
    pub priority: u32,
    /// Nice value.
    pub nice: i32,
}

/// Who the process is to the terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Process.
    pub pid: i32,
    /// Parent.
    pub parent: i32,
    /// Process group.
    pub group: i32,
    /// Session.
    pub session: i32,
    /// Whether standard input is a terminal.
    pub tty: bool,
    /// Rows and columns, if it is.
    pub size: (u16, u16),
    /// Whether `/dev/tty` opens: the process has a controlling terminal.
    pub controlling: String,
}

/// How a path behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Kind as for [`Device`], or the errno of looking.
    pub kind: String,
    /// Bytes read, entries listed, or the errno.
    pub read: String,
    /// What opening for writing, or making a file inside, gives.
    pub write: String,
}

impl Report {
    /// The mount that is on top at `point`.
    pub fn mount(&self, point: &str) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.point == point)
    }

    /// A field of `/proc/self/status`.
    pub fn status(&self, field: &str) -> &str {
        self.status.get(field).map_or("", String::as_str)
    }

    /// The five capability sets: inheritable, permitted, effective, bounding, ambient.
    pub fn capabilities(&self) -> [u64; 5] {
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
            .map(|set| u64::from_str_radix(self.status(set), 16).unwrap_or(u64::MAX))
    }

    /// The device at `path`.
    pub fn device(&self, path: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.path == path)
    }
}
