//! All unsafe code and raw system calls of Longshore.
//!
//! What `rustix` wraps safely is used from there, also by other crates; this crate holds the calls
//! that it lacks, and those whose safety rests on an invariant of ours (`fork` in a process with one
//! thread). Functions take and return descriptors, return `std::io::Error` with the kernel's own
//! errno, and know nothing of containers.

#[cfg(feature = "attempts")]
pub mod attempt;
pub mod bpf;
pub mod capability;
pub mod clone;
pub mod entry;
pub mod event;
pub mod exe;
pub mod exec;
pub mod failpoint;
#[cfg(feature = "isa-l")]
pub mod inflate;
pub mod keyring;
pub mod link;
pub mod mount;
pub mod namespace;
pub mod pidfd;
pub mod process;
pub mod resolve;
pub mod sched;
pub mod seccomp;
pub mod socket;

use std::io;

/// Turns the −1 of a C call into the thread's errno.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The size of a kernel structure as the system call wants it.
const fn size<T>() -> usize {
    size_of::<T>()
}
