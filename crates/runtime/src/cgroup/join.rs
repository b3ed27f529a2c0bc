//! How processes get into their cgroups without waiting for RCU.

use std::{io, os::fd::OwnedFd};

use super::{Cgroup, CgroupError, file, layout::Version, process};

/// Open files by which a process can put itself into a container's cgroups.
#[derive(Debug)]
pub struct Joiner {
    /// For `CLONE_INTO_CGROUP`: the version 2 cgroup.
    pub into: Option<OwnedFd>,
    /// The `tasks` files of version 1, open for writing.
    pub tasks: Vec<OwnedFd>,
}

impl Cgroup {
    /// Opens what a new process needs to join.
    pub fn joiner(&self) -> Result<Joiner, CgroupError> {
        let mut joiner = Joiner { into: None, tasks: Vec::with_capacity(self.groups.len()) };
        for group in &self.groups {
            let opened = match group.version {
                Version::V1 => file::open_write(&group.dir, "tasks").map(|file| joiner.tasks.push(file)),
                Version::V2 => group.dir.try_clone().map(|dir| joiner.into = Some(dir)),
            };
            opened.map_err(|source| CgroupError::Open { path: group.path.clone(), source })?;
        }
        Ok(joiner)
    }

    /// Like [`Cgroup::joiner`], but into the version 2 cgroup below the container's that the process
    /// `pid` is in.
    ///
    /// For when birth in the container's own fails with `EBUSY`: a container that manages cgroups
    /// has none of its processes there (kernel: `cgroup-v2.rst`, "No Internal Process Constraint").
    pub fn joiner_beside(&self, pid: i32) -> Result<Joiner, CgroupError> {
        let mut joiner = self.joiner()?;
        for group in self.groups.iter().filter(|group| group.version == Version::V2) {
            let Some(path) = process::find(&group.path, pid)? else { continue };
            let dir = file::open_dir(&path).map_err(|source| CgroupError::Open { path, source })?;
            joiner.into = Some(dir);
        }
        Ok(joiner)
    }
}

impl Joiner {
    /// Moves this thread, which must be the only one of its process, into the version 1 cgroups.
    ///
    /// To version 2 it must have been born (see [`Joiner::into`]).
    pub fn join_self(&self) -> io::Result<()> {
        self.tasks.iter().try_for_each(|tasks| file::write_fd(tasks, "0"))
    }

    /// Moves this process into the version 2 cgroup that it was not born in; waits for RCU.
    ///
    /// For when a child dies of `SIGKILL` at birth: Linux 6.14 to 6.18 at least do that to every
    /// child of `CLONE_INTO_CGROUP` if somebody once wrote to `cgroup.kill` of the cgroup of its
    /// parent, or of its own, and not as often to the other's (kernel: `cgroup_css_set_fork` takes
    /// `kill_seq` of the parent's cgroup, `cgroup_post_fork` compares it with the child's).
    pub fn join_late(&self) -> io::Result<()> {
        self.into.as_ref().map_or(Ok(()), |dir| file::write(dir, "cgroup.procs", "0"))
    }
}
