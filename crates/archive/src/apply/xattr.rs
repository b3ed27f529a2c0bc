//! Extended attributes: which of them a layer may set, and setting them, never through a link.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::{
    fs::{XattrFlags, fsetxattr, lsetxattr},
    io::Errno,
};

use super::error::Failure;

pub(crate) const OPAQUE: &str = "trusted.overlay.opaque";
/// Children inherit it when they are made, so it is set when a directory is complete.
pub(super) const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
pub(super) const ACL: &[u8] = b"system.posix_acl_access";

/// Whether layers carry this attribute.
///
/// Not what steers the overlay file system, and not what is policy of the host (labels of security
/// modules, signatures): of `security.*` only the capabilities of a file belong to an image.
pub(crate) fn belongs_to_layers(name: &[u8]) -> bool {
    if name.starts_with(b"security.") {
        return name == b"security.capability";
    }
    !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.")
}

/// Sets an attribute of the open file. Says whether it could be set.
pub(super) fn set(file: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> Result<bool, Failure> {
    outcome(fsetxattr(file, name, value, XattrFlags::empty()))
}

/// Sets an attribute of `name` in `directory`, be it a link.
pub(super) fn set_at(
    directory: BorrowedFd<'_>,
    file: &[u8],
    name: &[u8],
    value: &[u8],
) -> Result<bool, Failure> {
    // The descriptor's link in /proc leads to the directory whatever it is called now; the last part
    // is not followed.
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(file);
    outcome(lsetxattr(path, name, value, XattrFlags::empty()))
}

/// As Docker: what this file system or this kind of file cannot hold is left out.
fn outcome(result: Result<(), Errno>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(false),
        Err(errno) => Err(Failure::System("set an extended attribute", errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_layers_carry() {
        for (name, expected) in [
            ("user.x", true),
            ("trusted.x", true),
            ("security.capability", true),
            ("system.posix_acl_access", true),
            ("user.overlayfs", true),
            ("security.selinux", false),
            ("security.ima", false),
            ("security.apparmor", false),
            ("trusted.overlay.opaque", false),
            ("trusted.overlay.redirect", false),
            ("trusted.overlay.metacopy", false),
            ("trusted.overlay.overlay.whiteout", false),
            ("user.overlay.opaque", false),
        ] {
            assert_eq!(belongs_to_layers(name.as_bytes()), expected, "{name}");
        }
    }
}
