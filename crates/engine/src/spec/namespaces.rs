//! Which namespaces a container has of its own, and which it shares.

use std::path::{Path, PathBuf};

use longshore_runtime::spec::{Namespace, NamespaceKind};

use super::{
    Host, Inputs,
    error::Error,
    mode::{self, Mode},
};
use crate::container::Record;

/// Where a container's network is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NetworkNamespace {
    /// One of its own, with `lo` alone.
    #[default]
    New,
    Host,
    /// One that was made for it, or another container's.
    Path(PathBuf),
}

/// Namespaces of other containers, of those that the record names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joins {
    /// `/proc/<pid>/ns/pid` of its init.
    pub pid: Option<PathBuf>,
    /// `/proc/<pid>/ns/ipc` of its init.
    pub ipc: Option<PathBuf>,
}

pub(super) fn of(record: &Record, host: &Host, inputs: &Inputs<'_>) -> Result<Vec<Namespace>, Error> {
    let config = &record.host;
    let new = |kind| Namespace { kind, path: String::new() };
    let mut namespaces = vec![new(NamespaceKind::Mount)];
    match &inputs.network {
        NetworkNamespace::New => namespaces.push(new(NamespaceKind::Network)),
        NetworkNamespace::Host => {}
        NetworkNamespace::Path(path) => namespaces.push(join(NamespaceKind::Network, path)?),
    }
    let shared = |kind, mode: Option<Mode<'_>>, path: &Option<PathBuf>| match (mode, path) {
        (Some(Mode::Host), _) => Ok(None),
        (Some(Mode::Container(_)), Some(path)) => join(kind, path).map(Some),
        (Some(Mode::Container(container)), None) => {
            Err(Error::NotJoined { kind: kind_name(kind), container: container.to_owned() })
        }
        _ => Ok(Some(new(kind))),
    };
    namespaces.extend(shared(NamespaceKind::Ipc, mode::ipc(&config.ipc_mode), &inputs.joins.ipc)?);
    namespaces.extend(shared(NamespaceKind::Pid, mode::pid(&config.pid_mode), &inputs.joins.pid)?);
    namespaces.extend(shared(NamespaceKind::Uts, mode::plain(&config.uts_mode), &None)?);
    namespaces.extend(host.time_namespaces.then(|| new(NamespaceKind::Time)));
    if mode::cgroup(&config.cgroupns_mode) == Some(Mode::Private) && host.cgroup_namespaces {
        namespaces.push(new(NamespaceKind::Cgroup));
    }
    Ok(namespaces)
}

fn join(kind: NamespaceKind, path: &Path) -> Result<Namespace, Error> {
    let path = path.to_str().ok_or_else(|| Error::NotUtf8 { path: path.to_owned() })?;
    Ok(Namespace { kind, path: path.into() })
}

fn kind_name(kind: NamespaceKind) -> &'static str {
    if kind == NamespaceKind::Pid { "PID" } else { "IPC" }
}
