use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use longshore_sys::mount::{self as sys_mount, Change, attr};
use rustix::{
    fs::{Mode, OFlags, mkdirat, symlinkat},
    io::Errno,
};

use super::{
    mount,
    tree::{Target, Tree},
};
use crate::{
    cgroup::{HierarchyView, Version, View},
    plan::MountStep,
};

/// Mounts the container's cgroups at the step's destination.
///
/// `private` says that the process is in a cgroup namespace of its own, in which a fresh mount shows
/// the container's cgroups and nothing above. Without one they are bound from the host.
pub(super) fn mount(tree: &mut Tree, step: &MountStep, view: &View, private: bool) -> io::Result<()> {
    match view.hierarchies.as_slice() {
        [] => Ok(()),
        [only] if view.is_unified() => {
            let mount = one(only, private)?;
            mount::attach(tree, step, mount)
        }
        several => {
            let top = mount::new_filesystem("tmpfs", "cgroup", &[], &[("mode".into(), Some("755".into()))])?;
            let target = tree.target(&step.destination, Target::Directory)?;
            for hierarchy in several {
                place(top.as_fd(), hierarchy)?;
            }
            // Before it is in a tree: what is mounted in one that no namespace holds cannot be changed.
            mount::set_attributes(step, top.as_fd())?;
            mount::move_onto(top.as_fd(), target.as_fd())?;
            several.iter().try_for_each(|hierarchy| below(top.as_fd(), hierarchy, step, private))
        }
    }
}

/// One hierarchy in the directory `top`, which is mounted by now.
fn below(top: BorrowedFd<'_>, hierarchy: &HierarchyView, step: &MountStep, private: bool) -> io::Result<()> {
    let mount = one(hierarchy, private)?;
    mount::set_attributes(step, mount.as_fd())?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = rustix::fs::openat(top, &hierarchy.name, flags, Mode::empty())?;
    mount::move_onto(mount.as_fd(), target.as_fd())
}

/// The place of a hierarchy, and its links.
fn place(top: BorrowedFd<'_>, hierarchy: &HierarchyView) -> io::Result<()> {
    mkdirat(top, &hierarchy.name, Mode::from_raw_mode(0o755))?;
    for link in &hierarchy.links {
        match symlinkat(&hierarchy.name, top, link) {
            // Two hierarchies never share a controller, but a link may be named as a directory.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The container's part of one hierarchy, detached.
fn one(hierarchy: &HierarchyView, private: bool) -> io::Result<OwnedFd> {
    if private {
        match fresh(hierarchy) {
            // In a user namespace that does not own the hierarchy; the bind shows the same.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::PERM | Errno::BUSY)) => {}
            result => return result,
        }
    }
    let path = hierarchy.path.to_str().ok_or(Errno::ILSEQ)?;
    mount::open_source(path, false)
}

fn fresh(hierarchy: &HierarchyView) -> io::Result<OwnedFd> {
    if hierarchy.version == Version::V2 {
        return mount::new_filesystem("cgroup2", "cgroup", &[], &[]);
    }
    let options: Vec<(String, Option<String>)> = hierarchy
        .options
        .split(',')
        .map(|option| match option.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (option.to_owned(), None),
        })
        .collect();
    let mount = mount::new_filesystem("cgroup", "cgroup", &[], &options)?;
    let change = Change { set: attr::NOSUID | attr::NODEV | attr::NOEXEC, ..Change::default() };
    sys_mount::set_attributes(mount.as_fd(), false, change, None)?;
    Ok(mount)
}
