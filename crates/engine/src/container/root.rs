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
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Some((directory, pid)) = of_init(container, "root", flags)? {
            return Ok(Root { directory, pid: Some(pid) });
        }
        self.alone(container, Access::ReadWrite).map(|directory| Root { directory, pid: None })
    }

    /// The root of a container without what is mounted in it. Blocks.
    pub fn bare_root(&self, container: &Container) -> Result<OwnedFd> {
        let Some((mounts, _)) = of_init(container, "ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC)? else {
            return self.alone(container, Access::ReadOnly);
        };
        let failed = |error| io("copy the root of", container.id().as_str().as_ref())(error);
        readable(container, longshore_store::root_of(mounts.as_fd()).map_err(failed)?)
    }

    /// The snapshot of a container that does not run, mounted.
    fn alone(&self, container: &Container, access: Access) -> Result<OwnedFd> {
        let snapshot = self.images().store().find_snapshot(container.record().snapshot)?;
        container.await_unmounted();
        readable(container, snapshot.mount(access)?)
    }
}

/// A detached mount can be looked up in, and not be read. It goes with the last descriptor of it, which may be any of
/// its files.
fn readable(container: &Container, mount: OwnedFd) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(&mount, c".", flags, Mode::empty())
        .map_err(|errno| io("open", container.data_dir())(errno.into()))
}

/// A file in `/proc` of a container's init, and its PID; nothing if the container does not run.
fn of_init(container: &Container, file: &str, flags: OFlags) -> Result<Option<(OwnedFd, i32)>> {
    let record = container.record();
    if !record.state.phase.has_processes() {
        return Ok(None);
    }
    let pid = record.state.pid;
    let path = format!("/proc/{pid}/{file}");
    let opened = rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty());
    // The PID is still the init's if the monitor, its parent, still says so.
    let mut control = container.control()?;
    let status =
        control.status().map_err(|source| Error::Control { id: container.id().to_string(), source })?;
    if status.exit.is_some() || status.pid != pid {
        return Ok(None);
    }
    let opened = opened.map_err(|errno| io("open", path.as_ref())(errno.into()))?;
    Ok(Some((opened, pid)))
}
