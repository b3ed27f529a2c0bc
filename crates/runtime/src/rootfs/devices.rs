use std::os::fd::{AsFd, BorrowedFd};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, mknodat, symlinkat},
    io::Errno,
    process::umask,
};

use super::{
    mount,
    tree::{Target, Tree},
};
use crate::{
    init::{At, Step, StepError},
    plan::DeviceNode,
};

/// The links of `/dev` (`config-linux.md`, "Default Devices"; the first four as every engine has them).
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// Makes the nodes and links of `/dev`.
pub(super) fn populate(tree: &Tree, nodes: &[DeviceNode]) -> Result<(), StepError> {
    let dev = tree.target("/dev", Target::Directory).on(Step::Device, "/dev")?;
    let old_mask = umask(Mode::empty());
    for node in nodes {
        make(tree, dev.as_fd(), node).on(Step::Device, &node.path)?;
    }
    umask(old_mask);
    for (target, name) in LINKS {
        link(dev.as_fd(), target, name).on(Step::Device, format_args!("/dev/{name}"))?;
    }
    if rustix::fs::access("/proc/kcore", rustix::fs::Access::EXISTS).is_ok() {
        link(dev.as_fd(), "/proc/kcore", "core").on(Step::Device, "/dev/core")?;
    }
    Ok(())
}

fn make(tree: &Tree, dev: BorrowedFd<'_>, node: &DeviceNode) -> std::io::Result<()> {
    // Nearly all are right in /dev, which is open already.
    let (parent, name) = match node.path.strip_prefix("/dev/") {
        Some(name) if !name.contains('/') => (dev.try_clone_to_owned()?, name),
        _ => tree.parent(&node.path)?,
    };
    let kind = FileType::from_raw_mode(node.mode);
    let device = rustix::fs::makedev(node.major, node.minor);
    match mknodat(&parent, name, kind, Mode::from_raw_mode(node.mode), device) {
        Ok(()) => {}
        Err(Errno::EXIST) => return is_same(parent.as_fd(), name, kind, device),
        Err(Errno::PERM) if kind != FileType::Fifo => {
            let target = tree.target(&node.path, Target::File)?;
            return mount::bind_device(target.as_fd(), &node.path, device);
        }
        Err(error) => return Err(error.into()),
    }
    if node.uid != 0 || node.gid != 0 {
        let uid = rustix::fs::Uid::from_raw(node.uid);
        let gid = rustix::fs::Gid::from_raw(node.gid);
        rustix::fs::chownat(&parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// What the image or a mount put there may stay where it is the very device.
fn is_same(parent: BorrowedFd<'_>, name: &str, kind: FileType, device: u64) -> std::io::Result<()> {
    let found = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) == kind && (kind == FileType::Fifo || found.st_rdev == device) {
        return Ok(());
    }
    Err(std::io::Error::other("something else is there already"))
}

fn link(dev: BorrowedFd<'_>, target: &str, name: &str) -> std::io::Result<()> {
    match symlinkat(target, dev, name) {
        // `/dev/ptmx` of an image must not stand for the host's.
        Err(Errno::EXIST) if name == "ptmx" => {
            rustix::fs::unlinkat(dev, name, AtFlags::empty())?;
            Ok(symlinkat(target, dev, name)?)
        }
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens the host's `/dev/null`, sure that it is the device: the container's own could be anything
/// (CVE-2025-31133).
pub(super) fn open_null() -> std::io::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let null = rustix::fs::open("/dev/null", flags, Mode::empty())?;
    let found = rustix::fs::fstat(&null)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::CharacterDevice
        || found.st_rdev != rustix::fs::makedev(1, 3)
    {
        return Err(std::io::Error::other("the host's /dev/null is not the null device"));
    }
    Ok(null)
}
