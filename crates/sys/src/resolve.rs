//! `openat2(2)`: paths resolved inside a directory, whatever its owner does meanwhile.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use crate::{check, size};

/// How a path may be walked (`RESOLVE_*` of `linux/openat2.h`).
pub mod how {
    pub const NO_XDEV: u64 = 0x01;
    pub const NO_MAGICLINKS: u64 = 0x02;
    pub const NO_SYMLINKS: u64 = 0x04;
    pub const BENEATH: u64 = 0x08;
    pub const IN_ROOT: u64 = 0x10;
}

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// Opens `path` below `directory`. `O_CLOEXEC` is always set.
///
/// A walk that races with a rename answers `EAGAIN`; it is tried again a bounded number of times.
pub fn open(directory: BorrowedFd<'_>, path: &CStr, flags: i32, resolve: u64) -> io::Result<OwnedFd> {
    let how = OpenHow { flags: u64::from((flags | libc::O_CLOEXEC).cast_unsigned()), mode: 0, resolve };
    let mut tries = 0;
    loop {
        // SAFETY: a C string and a structure of the given size, both alive over the call.
        let result = check(unsafe {
            libc::syscall(
                libc::SYS_openat2,
                directory.as_raw_fd(),
                path.as_ptr(),
                &raw const how,
                size::<OpenHow>(),
            )
        });
        match result {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && tries < 128 => tries += 1,
            Err(error) => return Err(error),
            // SAFETY: the call just made this descriptor and nobody else has it.
            Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) }),
        }
    }
}
