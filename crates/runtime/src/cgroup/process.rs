//! The processes of a container.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::{Cgroup, CgroupError, file, remove};

impl Cgroup {
    /// The PIDs of the container's processes, those in cgroups of its own making included if `all`.
    ///
    /// Empty where the cgroup is gone. In the order of the kernel, which is none.
    pub fn pids(&self, all: bool) -> Result<Vec<i32>, CgroupError> {
        // Any hierarchy will do, but a process may leave those of version 1 that it is given to
        // write; devices is the one runc asks, and version 2 the one that nobody is born outside of.
        let group = self.group("devices").or(self.groups.first());
        let Some(group) = group else { return Ok(Vec::new()) };
        if all { self::all(&group.path) } else { own(&group.path) }
    }
}

/// The cgroup at or below `path` that has the process `pid`; `None` where none has it.
pub(super) fn find(path: &Path, pid: i32) -> Result<Option<PathBuf>, CgroupError> {
    if own(path)?.contains(&pid) {
        return Ok(Some(path.to_owned()));
    }
    for child in remove::children(path)? {
        if let Some(found) = find(&path.join(child), pid)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The processes of `path` and of every cgroup below it.
pub(super) fn all(path: &Path) -> Result<Vec<i32>, CgroupError> {
    let mut pids = own(path)?;
    for child in remove::children(path)? {
        pids.extend(all(&path.join(child))?);
    }
    Ok(pids)
}

/// The processes of `path` alone. A threaded cgroup of version 2 lists threads only.
fn own(path: &Path) -> Result<Vec<i32>, CgroupError> {
    let read = |name: &str| file::open_dir(path).and_then(|dir| file::read(dir, name));
    let content = match read("cgroup.procs") {
        Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => read("cgroup.threads"),
        result => result,
    };
    match content {
        Ok(content) => Ok(content.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(error) if gone(&error) => Ok(Vec::new()),
        Err(source) => Err(CgroupError::Read { path: path.join("cgroup.procs"), source }),
    }
}

/// Whether the cgroup was removed, before or after its file was opened.
pub(super) fn gone(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    errno == Some(Errno::NOENT.raw_os_error()) || errno == Some(Errno::NODEV.raw_os_error())
}
