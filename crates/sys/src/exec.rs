//! `execve(2)`.

use std::{
    ffi::{CStr, CString, c_char},
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

/// Replaces this program. Returns only when it failed.
pub fn execve(path: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: C strings and null-terminated arrays of them, alive over the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Replaces this program by the one that `program` is open on. Returns only when it failed.
pub fn fexecve(program: BorrowedFd<'_>, args: &[CString], env: &[CString]) -> io::Error {
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: as above; the empty path with AT_EMPTY_PATH names the descriptor itself.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            args.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}
