//! Joining and leaving namespaces.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use crate::check;

/// Joins the namespaces `flags` (of `clone::flags`) of a process (a pidfd), all or none, or the one
/// namespace that a `/proc/PID/ns` descriptor names.
pub fn join(fd: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    // SAFETY: integers alone; changes only what this thread sees of the system.
    check(unsafe { libc::syscall(libc::SYS_setns, fd.as_raw_fd(), flags) })?;
    Ok(())
}

/// Gives this thread a root and a working directory of its own, so that it may join other mounts.
pub fn own_directory() -> io::Result<()> {
    // SAFETY: integers alone; what the threads no longer share is two paths.
    check(unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_FS) })?;
    Ok(())
}

/// Gives this process new namespaces of the kinds `flags`.
pub fn unshare(flags: u64) -> io::Result<()> {
    // SAFETY: integers alone; namespace flags never unshare memory from a sibling thread.
    check(unsafe { libc::syscall(libc::SYS_unshare, flags & crate::clone::flags::NAMESPACES) })?;
    Ok(())
}
