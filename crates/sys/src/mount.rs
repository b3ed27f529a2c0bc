//! The parts of the mount API that `rustix` lacks: `mount_setattr(2)` and mounting onto `.`.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use crate::{check, size};

/// Attributes of a mount (`MOUNT_ATTR_*` of `linux/mount.h`).
pub mod attr {
    pub const RDONLY: u64 = 0x1;
    pub const NOSUID: u64 = 0x2;
    pub const NODEV: u64 = 0x4;
    pub const NOEXEC: u64 = 0x8;
    /// The field of the three access-time modes; relative is all zero.
    pub const ATIME: u64 = 0x70;
    pub const NOATIME: u64 = 0x10;
    pub const STRICTATIME: u64 = 0x20;
    pub const NODIRATIME: u64 = 0x80;
    pub const IDMAP: u64 = 0x10_0000;
    pub const NOSYMFOLLOW: u64 = 0x20_0000;
}

/// What `set_attributes` changes; the kernel's `struct mount_attr`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    pub set: u64,
    pub clear: u64,
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`; 0 leaves it.
    pub propagation: u64,
}

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Changes the mount that `fd` stands on, and all below it where `recursive`.
///
/// With `attr::IDMAP` in `set`, `user_namespace` gives the mapping.
pub fn set_attributes(
    fd: BorrowedFd<'_>,
    recursive: bool,
    change: Change,
    user_namespace: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let attributes = MountAttr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: user_namespace.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned())),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: an empty C string and a structure of the given size, both alive over the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size::<MountAttr>(),
        )
    })?;
    Ok(())
}

/// Mounts with the old `mount(2)` onto the current directory: for file systems and option strings
/// that `fsconfig(2)` does not take (a value over 255 bytes). The caller did `fchdir` to the target.
pub fn mount_here(source: &CStr, kind: &CStr, flags: u64, data: &CStr) -> io::Result<()> {
    // SAFETY: C strings alive over the call; `data` is text, which every file system copies.
    let result =
        unsafe { libc::mount(source.as_ptr(), c".".as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    check(result.into())?;
    Ok(())
}

/// Swaps the root of the mount namespace for the current directory, which then covers the old root:
/// `pivot_root(".", ".")` and a lazy unmount (pivot_root(2), "NOTES").
pub fn pivot_to_current_directory() -> io::Result<()> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let old = rustix::fs::open("/", flags, rustix::fs::Mode::empty())?;
    // SAFETY: two C strings.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    // The host must not hear of the unmount: the old root may be a peer of its root. By descriptor,
    // because "." is the new root here and only umount2 looks at what lies on top of it.
    let slave = Change { propagation: libc::MS_SLAVE, ..Change::default() };
    set_attributes(old.as_fd(), true, slave, None)?;
    // SAFETY: a C string.
    check(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) }.into())?;
    Ok(())
}
