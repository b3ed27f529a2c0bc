use std::{
    borrow::Cow,
    ffi::CString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use longshore_sys::mount::{self as sys_mount, Change, attr};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
    },
};

use super::{
    Source,
    tree::{Target, Tree, is_directory},
};
use crate::{
    init::{At, Step, StepError},
    plan::{MountKind, MountStep},
};

const PROC_MAGIC: i64 = 0x9fa0;
/// The longest value that `fsconfig(2)` takes, in bytes.
const MAX_VALUE: usize = 255;

/// Performs one mount step; `source` is what the maker prepared for a bind.
///
/// Returns the mount where it is a tmpfs that is to become read-only once it has been filled.
pub(super) fn apply(
    tree: &mut Tree,
    step: &MountStep,
    source: Source,
    label: &str,
) -> Result<Option<OwnedFd>, StepError> {
    let mut step = Cow::Borrowed(step);
    let late = is_tmpfs(&step) && step.set & attr::RDONLY != 0;
    if late {
        step.to_mut().set &= !attr::RDONLY;
    }
    let done = match &step.kind {
        MountKind::Bind { recursive } => bind(&step, source, *recursive).map(Some),
        MountKind::Filesystem { name } => {
            filesystem(tree, &step, name, label).on(Step::Mount, name_of(&step))
        }
        // A cgroup mount is made of several; `cgroup_view` calls back with each.
        MountKind::Cgroup => Ok(None),
        MountKind::Remount => {
            return remount(tree, &step).map(|()| None).on(Step::Mount, name_of(&step));
        }
    };
    let Some(mount) = done? else { return Ok(None) };
    let kept = late.then(|| mount.try_clone()).transpose().on(Step::Mount, name_of(&step))?;
    attach(tree, &step, mount).on(Step::Mount, name_of(&step))?;
    Ok(kept)
}

fn is_tmpfs(step: &MountStep) -> bool {
    matches!(&step.kind, MountKind::Filesystem { name } if name == "tmpfs")
}

fn name_of(step: &MountStep) -> String {
    match &step.kind {
        MountKind::Bind { .. } => format!("{} on {}", step.source, step.destination),
        MountKind::Filesystem { name } => format!("{name} on {}", step.destination),
        MountKind::Cgroup => format!("cgroup on {}", step.destination),
        MountKind::Remount => format!("remount of {}", step.destination),
    }
}

fn source_name(step: &MountStep) -> String {
    format!("source {} of {}", step.source, step.destination)
}

/// Finds the tree of a bind mount: now, so that a source below what was mounted before is what is seen there.
///
/// Where the maker opened a tree, because it has more rights, its tree is the one that is mounted; but what it is
/// of is looked up here again, and has to be the same.
fn bind(step: &MountStep, source: Source, recursive: bool) -> Result<OwnedFd, StepError> {
    let name = || source_name(step);
    let Some(tree) = source.tree else {
        let tree = open_source(&step.source, recursive).on(Step::Mount, name())?;
        if let (Some(map), Some(namespace)) = (&step.id_map, &source.map) {
            let change = Change { set: attr::IDMAP, ..Change::default() };
            sys_mount::set_attributes(tree.as_fd(), map.recursive, change, Some(namespace.as_fd()))
                .on(Step::IdMap, name())?;
        }
        return Ok(tree);
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = match rustix::fs::open(&step.source, flags, Mode::empty()) {
        // The container's user cannot reach it.
        Err(Errno::ACCESS) => return Ok(tree),
        found => found.on(Step::Mount, name())?,
    };
    if is_same(&found, &tree).on(Step::Mount, name())? {
        return Ok(tree);
    }
    if step.id_map.is_some() {
        return Err(io::Error::other("an earlier mount covers it, and this one is to be id-mapped"))
            .on(Step::Mount, name());
    }
    clone_fd(found.as_fd(), recursive).on(Step::Mount, name())
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Clones the tree at a path of the host, detached.
pub(crate) fn open_source(path: &str, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(open_tree(CWD, path, flags)?)
}

/// Clones what an open descriptor stands on, detached.
pub(super) fn clone_fd(fd: BorrowedFd<'_>, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(open_tree(fd, c"", flags)?)
}

/// Moves a detached mount onto an open target.
pub(super) fn move_onto(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, c"", target, c"", flags)?)
}

/// Gives a detached mount its attributes and moves it to its place: there is no moment at which the
/// container's tree holds it without them.
pub(super) fn attach(tree: &mut Tree, step: &MountStep, mount: OwnedFd) -> io::Result<()> {
    let kind = if is_directory(&mount)? { Target::Directory } else { Target::File };
    if step.destination == "/proc" && !is_procfs(mount.as_fd())? {
        return Err(io::Error::other("only a procfs may be mounted on /proc"));
    }
    set_attributes(step, mount.as_fd())?;
    let target = tree.target(&step.destination, kind)?;
    move_onto(mount.as_fd(), target.as_fd())?;
    for propagation in &step.propagation {
        let change = Change { propagation: propagation.flag, ..Change::default() };
        sys_mount::set_attributes(mount.as_fd(), propagation.recursive, change, None)?;
    }
    if step.destination == "/" {
        tree.replace_root(mount);
    }
    Ok(())
}

pub(super) fn set_attributes(step: &MountStep, mount: BorrowedFd<'_>) -> io::Result<()> {
    if step.recursive_set | step.recursive_clear != 0 {
        let change = Change { set: step.recursive_set, clear: step.recursive_clear, propagation: 0 };
        sys_mount::set_attributes(mount, true, change, None)?;
    }
    if step.set | step.clear != 0 {
        let change = Change { set: step.set, clear: step.clear, propagation: 0 };
        sys_mount::set_attributes(mount, false, change, None)?;
    }
    Ok(())
}

pub(super) fn is_procfs(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(rustix::fs::fstatfs(fd)?.f_type as i64 == PROC_MAGIC)
}

/// Makes a new file system, detached; `None` when it had to be mounted in place.
fn filesystem(tree: &Tree, step: &MountStep, name: &str, label: &str) -> io::Result<Option<OwnedFd>> {
    let mut data = step.data.clone();
    let labelled = !label.is_empty() && !["proc", "sysfs", "mqueue"].contains(&name);
    if labelled && !data.iter().any(|(key, _)| key == "context") {
        data.push(("context".into(), Some(label.to_owned())));
    }
    if name == "tmpfs" && !data.iter().any(|(key, _)| key == "mode") {
        // It shows the mode of the directory that it covers, if there was one (runc's rule); else the kernel's, 1777.
        match tree.open(&step.destination, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(covered) => {
                let mode = rustix::fs::statat(covered, c"", AtFlags::EMPTY_PATH)?.st_mode & 0o7777;
                data.push(("mode".into(), Some(format!("{mode:o}"))));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if data.iter().any(|(_, value)| value.as_ref().is_some_and(|value| value.len() > MAX_VALUE)) {
        return in_place(tree, step, name, &data).map(|()| None);
    }
    let mount = match new_filesystem(name, &step.source, &step.flags, &data) {
        // In a user namespace whose network namespace is the host's, a sysfs may not be made. The
        // host's own is what the container would see.
        Err(error) if name == "sysfs" && error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
            open_source("/sys", true)?
        }
        mount => mount?,
    };
    if name == "tmpfs" && step.copy_up {
        super::copy_up::fill(tree, &step.destination, mount.as_fd())?;
    }
    Ok(Some(mount))
}

/// `fsopen` to `fsmount`. An error carries what the file system itself said of the options.
pub(super) fn new_filesystem(
    name: &str,
    source: &str,
    flags: &[String],
    data: &[(String, Option<String>)],
) -> io::Result<OwnedFd> {
    let context = fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC)?;
    let configure = || -> io::Result<()> {
        if !source.is_empty() {
            fsconfig_set_string(context.as_fd(), "source", source)?;
        }
        for flag in flags {
            fsconfig_set_flag(context.as_fd(), flag.as_str())?;
        }
        for (key, value) in data {
            match value {
                Some(value) => fsconfig_set_string(context.as_fd(), key.as_str(), value.as_str())?,
                None => fsconfig_set_flag(context.as_fd(), key.as_str())?,
            }
        }
        Ok(fsconfig_create(context.as_fd())?)
    };
    configure().map_err(|error| explain(context.as_fd(), error))?;
    // Relative access times, as mount(2) has by default.
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

/// Adds the message that the kernel left in the context (`e tmpfs: Bad value for 'size'`).
fn explain(context: BorrowedFd<'_>, error: io::Error) -> io::Error {
    let mut buffer = [0u8; 256];
    match rustix::io::read(context, &mut buffer) {
        Ok(length) if length > 2 => {
            let text = String::from_utf8_lossy(&buffer[2..length]);
            io::Error::other(format!("{} ({error})", text.trim()))
        }
        _ => error,
    }
}

/// Mounts with mount(2) onto the target as the current directory: options too long for fsconfig
/// (the lower directories of an overlay).
fn in_place(tree: &Tree, step: &MountStep, name: &str, data: &[(String, Option<String>)]) -> io::Result<()> {
    let target = tree.target(&step.destination, Target::Directory)?;
    let options: Vec<String> = data
        .iter()
        .map(|(key, value)| value.as_ref().map_or_else(|| key.clone(), |value| format!("{key}={value}")))
        .collect();
    let c = |text: &str| CString::new(text).map_err(io::Error::from);
    rustix::process::fchdir(&target)?;
    sys_mount::mount_here(&c(&step.source)?, &c(name)?, 0, &c(&options.join(","))?)?;
    rustix::process::chdir("/")?;
    let mount = tree.open(&step.destination, OFlags::PATH)?;
    set_attributes(step, mount.as_fd())
}

/// Changes the attributes of the mount that is at the destination.
fn remount(tree: &Tree, step: &MountStep) -> io::Result<()> {
    let mount = tree.open(&step.destination, OFlags::PATH)?;
    set_attributes(step, mount.as_fd())?;
    for propagation in &step.propagation {
        let change = Change { propagation: propagation.flag, ..Change::default() };
        sys_mount::set_attributes(mount.as_fd(), propagation.recursive, change, None)?;
    }
    Ok(())
}

/// Makes a device node's stand-in: the host's node of the same path, verified, bound to the target.
/// For user namespaces, in which `mknod` is forbidden.
pub(super) fn bind_device(target: BorrowedFd<'_>, path: &str, device: u64) -> io::Result<()> {
    let node = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if rustix::fs::fstat(&node)?.st_rdev != device {
        return Err(io::Error::other("the host's node of this path is another device"));
    }
    move_onto(clone_fd(node.as_fd(), false)?.as_fd(), target)
}
