//! The container's file system: assembled by descriptor in the init's own mount namespace.
//!
//! Order: propagation of the inherited tree, the root mount, the spec's mounts in their order,
//! devices, the console, `Prepared` (the runtime's hooks), `createContainer` hooks, masks and
//! read-only paths, the new root. Every mount is made detached, gets its attributes, and is then moved
//! onto a target that was resolved inside the root exactly once (see `tree`).

mod cgroup_view;
mod console;
mod copy_up;
mod devices;
mod hide;
mod mount;
mod tree;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use longshore_sys::mount::{self as sys_mount, Change, attr};
use rustix::fs::{Mode, OFlags};

use crate::{
    cgroup,
    init::{At, Step, StepError},
    plan::{MountKind, Rootfs},
    spec::ConsoleSize,
};

pub(crate) use console::{Console, keep_line_ends, open_inside};
pub(crate) use mount::open_source;
use tree::Tree;

const SHARED: u64 = 1 << 20;
const PRIVATE: u64 = 1 << 18;
const UNBINDABLE: u64 = 1 << 17;
const RECURSIVE: u64 = 1 << 14;

/// The assembled tree, before it becomes the root.
#[derive(Debug)]
pub(crate) struct Assembled {
    tree: Tree,
    own_namespace: bool,
    pub(crate) console: Option<Console>,
}

/// What the maker of the container hands over besides the plan.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// A detached mount that is the root, instead of the plan's path.
    pub(crate) root: Option<OwnedFd>,
    /// For each mount step what its source needs of the maker's rights.
    pub(crate) binds: Vec<Source>,
}

/// What the maker of the container prepared for one bind mount.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The tree that is there before any of the container's mounts, id-mapped where that is wanted.
    pub(crate) tree: Option<OwnedFd>,
    /// The user namespace whose id maps the mount is to have.
    pub(crate) map: Option<OwnedFd>,
}

/// Mounts everything up to the point where hooks run.
pub(crate) fn assemble(
    plan: &Rootfs,
    mut sources: Sources,
    view: &cgroup::View,
    own_namespace: bool,
    private_cgroups: bool,
    terminal: Option<Option<ConsoleSize>>,
) -> Result<Assembled, StepError> {
    let donated = sources.root.take();
    let root = if own_namespace { mount_root(plan, donated) } else { detached_root(plan, donated) };
    let root = root.on(Step::RootMount, plan.path.display())?;
    let mut tree = Tree::new(root);
    // A read-only tmpfs must take mount points and device nodes first.
    let mut readonly_later: Vec<(OwnedFd, &str)> = Vec::new();
    sources.binds.resize_with(plan.mounts.len(), Source::default);
    for (step, source) in plan.mounts.iter().zip(sources.binds) {
        if step.kind == MountKind::Cgroup {
            cgroup_view::mount(&mut tree, step, view, private_cgroups).on(Step::Mount, "cgroup")?;
        } else {
            let mount = mount::apply(&mut tree, step, source, &plan.mount_label)?;
            readonly_later.extend(mount.map(|mount| (mount, step.destination.as_str())));
        }
    }
    if plan.populate_dev {
        devices::populate(&tree, &plan.devices)?;
    }
    let console = match terminal {
        Some(size) => Some(console::set_up(&tree, size).on(Step::Console, "/dev/console")?),
        None => None,
    };
    for (mount, destination) in readonly_later {
        let change = Change { set: attr::RDONLY, ..Change::default() };
        sys_mount::set_attributes(mount.as_fd(), false, change, None).on(Step::Mount, destination)?;
    }
    Ok(Assembled { tree, console, own_namespace })
}

impl Assembled {
    /// The descriptor of the root.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.tree.root()
    }

    /// Hides what the container may not see, and makes the tree the root of this mount namespace.
    pub(crate) fn enter(self, plan: &Rootfs) -> Result<Option<Console>, StepError> {
        hide::make_readonly(&self.tree, &plan.readonly_paths)?;
        hide::mask(&self.tree, &plan.masked_paths)?;
        if plan.readonly {
            let change = Change { set: attr::RDONLY, ..Change::default() };
            sys_mount::set_attributes(self.tree.root(), false, change, None).at(Step::RootMount)?;
        }
        let enter = || -> io::Result<()> {
            rustix::process::fchdir(self.tree.root())?;
            if !self.own_namespace {
                rustix::process::chroot(".")?;
            } else if plan.no_pivot {
                move_to_root(self.tree.root(), &plan.path)?;
            } else {
                sys_mount::pivot_to_current_directory()?;
            }
            Ok(rustix::process::chdir("/")?)
        };
        enter().at(Step::Pivot)?;
        if self.own_namespace && plan.propagation & (SHARED | UNBINDABLE) != 0 {
            let root = open_directory(Path::new("/")).at(Step::Pivot)?;
            let recursive = plan.propagation & RECURSIVE != 0;
            let change = Change { propagation: plan.propagation & !RECURSIVE, ..Change::default() };
            sys_mount::set_attributes(root.as_fd(), recursive, change, None).at(Step::Pivot)?;
        }
        Ok(self.console)
    }
}

/// Sets the propagation of what this namespace inherited and puts the root mount in its place.
fn mount_root(plan: &Rootfs, donated: Option<OwnedFd>) -> io::Result<OwnedFd> {
    let host = open_directory(Path::new("/"))?;
    let recursive = plan.propagation & RECURSIVE != 0;
    // An unbindable tree could not be cloned below; the new root becomes unbindable at the end.
    let flag = match plan.propagation & !RECURSIVE {
        UNBINDABLE => PRIVATE,
        flag => flag,
    };
    let change = Change { propagation: flag, ..Change::default() };
    sys_mount::set_attributes(host.as_fd(), recursive, change, None)?;
    let place = open_directory(&plan.path)?;
    if !recursive || plan.propagation & (SHARED | UNBINDABLE) != 0 {
        make_parent_private(place.as_fd())?;
    }
    let root = match donated {
        Some(root) => root,
        None => mount::clone_fd(place.as_fd(), true)?,
    };
    mount::move_onto(root.as_fd(), place.as_fd())?;
    Ok(root)
}

/// Without a mount namespace of its own the container gets a tree that no namespace holds: the
/// caller's is not touched, and the tree is gone with the last process in it. Mounting into such a
/// tree needs Linux 6.15.
fn detached_root(plan: &Rootfs, donated: Option<OwnedFd>) -> io::Result<OwnedFd> {
    let root = match donated {
        Some(root) => root,
        None => mount::clone_fd(open_directory(&plan.path)?.as_fd(), true)?,
    };
    // The clone is a peer of the caller's mount; see the parent's part in `container::idmap`.
    let change = Change { propagation: PRIVATE, ..Change::default() };
    sys_mount::set_attributes(root.as_fd(), true, change, None)?;
    Ok(root)
}

/// `pivot_root` refuses a new root whose parent mount is shared.
fn make_parent_private(place: BorrowedFd<'_>) -> io::Result<()> {
    let id = |fd: BorrowedFd<'_>| -> io::Result<u64> {
        let flags = rustix::fs::AtFlags::EMPTY_PATH;
        let found = rustix::fs::statx(fd, c"", flags, rustix::fs::StatxFlags::MNT_ID)?;
        Ok(found.stx_mnt_id)
    };
    let mount = id(place)?;
    let mut top = place.try_clone_to_owned()?;
    loop {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = rustix::fs::openat(&top, "..", flags, Mode::empty())?;
        let same_file = rustix::fs::fstat(&above)?.st_ino == rustix::fs::fstat(&top)?.st_ino;
        if id(above.as_fd())? != mount || same_file {
            break;
        }
        top = above;
    }
    let change = Change { propagation: PRIVATE, ..Change::default() };
    sys_mount::set_attributes(top.as_fd(), false, change, None)
}

/// `--no-pivot`: moves the tree over `/` and makes it the root directory.
///
/// The old root stays below it, out of reach by name; but a complete procfs or sysfs there would let
/// the container mount a new one without the masks (the kernel asks for one that is visible), so
/// those go first.
fn move_to_root(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    for line in std::fs::read_to_string("/proc/self/mountinfo")?.lines().rev() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let point = before.split(' ').nth(4).map(Path::new);
        let Some(point) = point.filter(|point| !point.starts_with(path)) else { continue };
        if after.starts_with("proc ") || after.starts_with("sysfs ") {
            rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH)?;
        }
    }
    let host = open_directory(Path::new("/"))?;
    mount::move_onto(root, host.as_fd())?;
    rustix::process::fchdir(root)?;
    Ok(rustix::process::chroot(".")?)
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
