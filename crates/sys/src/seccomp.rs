//! Installing a seccomp filter.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

use crate::check;

/// One instruction of classic BPF, the kernel's `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub jump_true: u8,
    pub jump_false: u8,
    pub operand: u32,
}

const SET_MODE_FILTER: u32 = 1;
const FLAG_NEW_LISTENER: u64 = 1 << 3;

/// Installs `program` for this thread with `flags` (`SECCOMP_FILTER_FLAG_*`).
///
/// Returns the listener where `SECCOMP_FILTER_FLAG_NEW_LISTENER` is among them. Needs
/// `no_new_privs` or `CAP_SYS_ADMIN`.
pub fn install(program: &[Instruction], flags: u64) -> io::Result<Option<OwnedFd>> {
    let length = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `Instruction` has the layout of `sock_filter`; the kernel copies and checks the program.
    let result =
        check(unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, &raw const program) })?;
    if flags & FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with this flag the call returns a fresh descriptor.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(i32::try_from(result).unwrap_or(-1)) }))
}

/// Whether the kernel knows the action `SECCOMP_RET_*`.
#[must_use]
pub fn knows_action(action: u32) -> bool {
    const GET_ACTION_AVAIL: u32 = 2;
    // SAFETY: the kernel reads one integer.
    check(unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, &raw const action) }).is_ok()
}
