//! The `/dev/shm` of a container whose IPC namespace others may join: a tmpfs of the host, at `shm` in the
//! container's directory, that outlives this process.
//!
//! One that is not shared is made by the runtime inside, and nobody else sees it.

use std::{
    io,
    path::{Path, PathBuf},
};

use longshore_types::container::HostConfig;
use rustix::{
    fs::Mode,
    io::Errno,
    mount::{MountFlags, UnmountFlags},
};

use super::mode::{self, Mode as Ipc};

/// Why it could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}", path.display())]
pub struct ShmError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl ShmError {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> longshore_types::Kind {
        longshore_types::Kind::Internal
    }
}

/// Where it is in a container's directory.
#[must_use]
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("shm")
}

/// Makes it for a container that others may join; `None` for one that has its own. Does nothing where it is
/// mounted already.
pub fn mount(host: &HostConfig, data_dir: &Path) -> Result<Option<PathBuf>, ShmError> {
    if mode::ipc(&host.ipc_mode) != Some(Ipc::Shareable) {
        return Ok(None);
    }
    let path = path(data_dir);
    let fail = |operation| {
        let path = path.clone();
        move |errno: Errno| ShmError { operation, path, source: errno.into() }
    };
    match rustix::fs::mkdir(&path, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(fail("make")(errno)),
    }
    if is_mounted(&path) {
        return Ok(Some(path));
    }
    let flags = MountFlags::NOEXEC | MountFlags::NOSUID | MountFlags::NODEV;
    let options = format!("mode=1777,size={}", host.shm_size);
    let options = std::ffi::CString::new(options).map_err(|_| fail("mount")(Errno::INVAL))?;
    rustix::mount::mount("shm", &path, "tmpfs", flags, Some(options.as_c_str())).map_err(fail("mount"))?;
    Ok(Some(path))
}

/// Takes it away, if there is one. Who has it mounted inside keeps it.
pub fn unmount(data_dir: &Path) -> Result<(), ShmError> {
    let path = path(data_dir);
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    let fail = |operation, errno: Errno| ShmError { operation, path: path.clone(), source: errno.into() };
    match rustix::mount::unmount(&path, flags) {
        Ok(()) => {}
        // EINVAL: nothing is mounted there.
        Err(Errno::NOENT | Errno::INVAL) => {}
        Err(errno) => return Err(fail("unmount", errno)),
    }
    match rustix::fs::rmdir(&path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(fail("remove", errno)),
    }
}

fn is_mounted(path: &Path) -> bool {
    let device = |path: &Path| rustix::fs::stat(path).map(|status| status.st_dev).ok();
    path.parent().is_some_and(|parent| device(path) != device(parent))
}
