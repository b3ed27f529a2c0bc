//! The root file system of a container, running or not.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use longshore_store::Access;
use rustix::fs::{CWD, Mode, OFlags};

use super::{Container, Containers, Error, Result, io};

/// A container's root: a directory, with all its mounts if the container runs.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    /// The init whose root it is.
    pub pid: Option<i32>,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Containers {
    /// The root of a container: that of its init if it runs, else its snapshot, mounted for as long as the value lives.
    /// Blocks.
    pub fn root(&self, container: &Container) -> Result<Root> {
        let record = container.record();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if record.state.phase.has_processes() {
            let pid = record.state.pid;
            let path = format!("/proc/{pid}/root");
            let opened = rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty());
            // The PID is still the init's if the monitor, its parent, still says so.
            let mut control = container.control()?;
            let status = control.status();
            let status =
                status.map_err(|source| Error::Control { id: container.id().to_string(), source })?;
            if status.exit.is_none() && status.pid == pid {
                let directory = opened.map_err(|errno| io("open", path.as_ref())(errno.into()))?;
                return Ok(Root { directory, pid: Some(pid) });
            }
        }
        let snapshot = self.images().store().find_snapshot(record.snapshot)?;
        let mount = snapshot.mount(Access::ReadWrite)?;
        let directory = rustix::fs::openat(&mount, c".", flags, Mode::empty())
            .map_err(|errno| io("open", container.data_dir())(errno.into()))?;
        // A detached mount goes with the last descriptor of it, which may be any of its files.
        drop(mount);
        Ok(Root { directory, pid: None })
    }
}
