//! Session keyrings.

use std::{ffi::CStr, io};

use crate::check;

const JOIN_SESSION_KEYRING: i32 = 1;
const SETPERM: i32 = 5;
const DESCRIBE: i32 = 6;

/// Leaves the caller's session keyring for the one called `name` (made where it does not exist), and
/// lets its user search it (runc does so since programs such as `kinit` need it).
pub fn join_session(name: &CStr) -> io::Result<()> {
    // SAFETY: a C string.
    let ring = check(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) })?;
    // `type;uid;gid;perm;description`, the permissions in hexadecimal.
    let mut text = [0u8; 256];
    // SAFETY: the kernel writes at most the given length.
    let length =
        check(unsafe { libc::syscall(libc::SYS_keyctl, DESCRIBE, ring, text.as_mut_ptr(), text.len()) })?;
    let text = &text[..usize::try_from(length).unwrap_or(0).min(text.len())];
    let permissions = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.split(';').nth(3))
        .and_then(|field| u32::from_str_radix(field, 16).ok())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    const USER_SEARCH: u32 = 0x0008_0000;
    // SAFETY: integers alone.
    check(unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, ring, permissions | USER_SEARCH) })?;
    Ok(())
}
