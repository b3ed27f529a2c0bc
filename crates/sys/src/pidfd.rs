//! Descriptors of processes: immune to reuse of the number.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use crate::check;

/// Opens the process `pid` of this PID namespace. `ESRCH` when there is none.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: integers in, a fresh descriptor out.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the call just made it and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) })
}

/// Sends `signal` (0 only checks). `ESRCH` when the process is gone.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let none = ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo makes the kernel fill in one as `kill(2)` does.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) })?;
    Ok(())
}

/// Copies the descriptor `number` of the process. Needs the right to trace it.
pub fn get_descriptor(pidfd: BorrowedFd<'_>, number: i32) -> io::Result<OwnedFd> {
    // SAFETY: integers in, a fresh descriptor out.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) })?;
    // SAFETY: the call just made it and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) })
}
