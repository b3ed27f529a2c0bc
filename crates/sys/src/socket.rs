//! What the kernel knows of a socket.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use crate::check;

/// Bytes, with the kernel's own for each message, that were written to a Unix socket and that its peer has not read.
pub fn unread(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request writes one int (`SIOCOUTQ` is `TIOCOUTQ`).
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) }.into())?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}
