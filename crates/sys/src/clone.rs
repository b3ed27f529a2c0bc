//! Making processes: `fork` and `clone3` with the memory of the parent, never shared.
//!
//! Both refuse to run in a process with more than one thread: the child of such a process may only
//! call async-signal-safe functions, and callers here go on with ordinary Rust code.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use crate::{check, size};

/// Which side of a `clone3` this is.
#[derive(Debug)]
pub enum Cloned {
    Child,
    Parent {
        /// The child's number in the caller's PID namespace.
        pid: i32,
        pidfd: OwnedFd,
    },
}

/// Flags of `clone(2)` that callers may combine: namespaces, and `CLONE_PARENT`.
pub mod flags {
    pub const NEWTIME: u64 = 0x80;
    pub const PARENT: u64 = libc::CLONE_PARENT as u64;
    pub const NEWNS: u64 = libc::CLONE_NEWNS as u64;
    pub const NEWCGROUP: u64 = libc::CLONE_NEWCGROUP as u64;
    pub const NEWUTS: u64 = libc::CLONE_NEWUTS as u64;
    pub const NEWIPC: u64 = libc::CLONE_NEWIPC as u64;
    pub const NEWUSER: u64 = libc::CLONE_NEWUSER as u64;
    pub const NEWPID: u64 = libc::CLONE_NEWPID as u64;
    pub const NEWNET: u64 = libc::CLONE_NEWNET as u64;
    pub const NAMESPACES: u64 = NEWTIME | NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET;
}

/// `CLONE_INTO_CGROUP`; libc's constant has overflown its type.
const INTO_CGROUP: u64 = 0x2_0000_0000;

unsafe extern "C" {
    /// glibc's own word on whether this process ever had a second thread (since 2.32).
    static __libc_single_threaded: libc::c_char;
}

/// Whether this process has one thread alone.
#[must_use]
pub fn is_single_threaded() -> bool {
    // SAFETY: a byte that glibc defines and only ever writes before it starts a thread or after it
    // joined one, both of which happen on the thread that would read it here.
    unsafe { ptr::read_volatile(&raw const __libc_single_threaded) != 0 }
}

/// Clones this process: copied memory, the namespaces of `flags` new, optionally born inside the
/// cgroup v2 directory `cgroup`.
///
/// # Errors
/// `EDEADLK` when this process has more than one thread; else what `clone3(2)` says.
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    if !is_single_threaded() {
        return Err(io::Error::from_raw_os_error(libc::EDEADLK));
    }
    let mut pidfd: libc::c_int = -1;
    // SAFETY: all-zero bytes are a valid `clone_args`: integers alone.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = (flags & (flags::NAMESPACES | flags::PARENT)) | libc::CLONE_PIDFD as u64;
    args.pidfd = (&raw mut pidfd) as u64;
    // With CLONE_PARENT the child inherits the exit signal of its new siblings: it must be 0 here.
    args.exit_signal = if flags & flags::PARENT == 0 { libc::SIGCHLD as u64 } else { 0 };
    if let Some(cgroup) = cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    // SAFETY: no CLONE_VM and no stack: the child runs on its copy of this stack. The process has
    // one thread (checked above), so no lock that the child might need is held by another one.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size::<libc::clone_args>()) })?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel wrote a fresh descriptor of ours there (CLONE_PIDFD).
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Cloned::Parent { pid: i32::try_from(pid).unwrap_or(i32::MAX), pidfd })
}
