use std::{io, path::PathBuf};

use super::systemd::BusError;

/// Why a cgroup could not be planned, made, changed, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds {line:?}, which is no line of its format", path.display())]
    Format { path: PathBuf, line: String },
    #[error("no cgroup hierarchy is mounted")]
    NoHierarchy,
    #[error("cgroupsPath {path:?} leaves its parent through `..`")]
    Escape { path: String },
    #[error("cgroupsPath {path:?} has a component that no cgroup can have")]
    BadPath { path: String },
    #[error("cgroupsPath {path:?} is not of the form slice:prefix:name that the systemd driver needs")]
    UnitFormat { path: String },
    #[error("cgroupsPath {path:?} names the root cgroup, which cannot be a container's")]
    RootPath { path: String },
    #[error("{field} is {value}, not {expected}")]
    Value { field: String, value: String, expected: &'static str },
    #[error("{field} cannot be held: {reason}")]
    Unsupported { field: String, reason: &'static str },
    #[error("{field} cannot be held: cgroup controller {controller} is not available")]
    NoController { field: String, controller: String },
    #[error("{field} cannot be held: the kernel has no {file}")]
    NoFile { field: String, file: String },
    #[error(
        "{field} cannot be held: {rule:?} would need a hole in {other:?}, which devices of cgroup v1 cannot express"
    )]
    DeviceHole { field: String, rule: String, other: String },
    #[error("{field}: cannot write {value:?} to {}", path.display())]
    Write { field: String, path: PathBuf, value: String, source: io::Error },
    #[error("{field}: {} of {value} is not above the {usage} in use", path.display())]
    BelowUsage { field: String, path: PathBuf, value: u64, usage: u64 },
    #[error("cannot make cgroup {}", path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("{field} needs a cgroup, and this user may not make {}", path.display())]
    NotAllowed { field: String, path: PathBuf, source: io::Error },
    #[error("cgroup {} is not empty: {processes} processes are in it", path.display())]
    NotEmpty { path: PathBuf, processes: usize },
    #[error("cgroup {} is frozen", path.display())]
    Frozen { path: PathBuf },
    #[error("cannot open cgroup {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot attach the device program to {}", path.display())]
    DeviceProgram { path: PathBuf, source: io::Error },
    #[error("the container has no {controller} cgroup")]
    Absent { controller: &'static str },
    #[error("cannot write {value:?} to {}", path.display())]
    Control { path: PathBuf, value: String, source: io::Error },
    #[error("cgroup {} did not become {state} in {seconds} s", path.display())]
    Timeout { path: PathBuf, state: &'static str, seconds: u64 },
    #[error("cannot signal process {pid} of the cgroup")]
    Signal { pid: i32, source: io::Error },
    #[error("cannot remove cgroup {}", path.display())]
    Remove { path: PathBuf, source: io::Error },
    #[error("cannot {operation} systemd unit {unit}")]
    Systemd { operation: &'static str, unit: String, source: BusError },
    #[error("cannot watch {}", path.display())]
    Watch { path: PathBuf, source: io::Error },
}
