//! Writes below `/proc`, through a procfs that nobody else can reach.
//!
//! A container that shares a volume with another can redirect a write to `/proc/self/attr/exec` or a
//! sysctl to another file of procfs, such as `sysrq-trigger` (CVE-2025-52881). So these writes go
//! through a private instance, mounted nowhere, and the walk may not leave it.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd, OwnedFd},
};

use longshore_sys::resolve::{self, how};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// A procfs of this process's PID namespace.
#[derive(Debug)]
pub(crate) struct Proc(OwnedFd);

impl Proc {
    /// Mounts a private instance; where that is forbidden (a user namespace that sees only part of
    /// `/proc`), takes the host's `/proc`, which the walk below still guards.
    pub(super) fn open() -> io::Result<Self> {
        let private = || -> rustix::io::Result<OwnedFd> {
            let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(context.as_fd())?;
            fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        };
        let fd = match private() {
            Ok(fd) => fd,
            Err(Errno::PERM | Errno::NOSYS) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                rustix::fs::open("/proc", flags, Mode::empty())?
            }
            Err(error) => return Err(error.into()),
        };
        const PROC_MAGIC: i64 = 0x9fa0;
        if rustix::fs::fstatfs(&fd)?.f_type as i64 != PROC_MAGIC {
            return Err(io::Error::other("/proc is not a procfs"));
        }
        Ok(Self(fd))
    }

    /// Writes `value` to the file at `path` in one call.
    pub(super) fn write(&self, path: &str, value: &[u8]) -> io::Result<()> {
        let path = CString::new(path)?;
        let flags = OFlags::WRONLY.bits().cast_signed();
        // `thread-self` is a symlink of procfs itself, so plain symlinks inside are allowed.
        let inside = how::BENEATH | how::NO_XDEV | how::NO_MAGICLINKS;
        let file = resolve::open(self.0.as_fd(), &path, flags, inside)?;
        match rustix::io::write(&file, value)? {
            written if written == value.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}
