//! A snapshot with other directories mounted in it, as a container has them: for whoever looks into a container that does
//! not run.
//!
//! Made in a mount namespace that lives as long as the making, and handed out as a detached copy. Where something is
//! mounted is found with the snapshot's root as `/`, once, and used by its descriptor.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use longshore_sys::{
    clone,
    mount::{Change, attr, set_attributes},
    namespace,
};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2},
    io::Errno,
    mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree},
};

use crate::{
    error::{Error, Result},
    overlay::Access,
    snapshot::Snapshot,
};

/// Something of the host that is mounted in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// On the host; one that does not exist is left out.
    pub source: PathBuf,
    /// In the snapshot; made where it does not exist.
    pub destination: PathBuf,
    pub read_only: bool,
}

impl Snapshot {
    /// Mounts it to be written to, and `over` in it, in this order; detached.
    pub fn mount_with(&self, over: &[Over]) -> Result<OwnedFd> {
        let root = self.mount(Access::ReadWrite)?;
        if over.is_empty() {
            return Ok(root);
        }
        let place = self.empty_path();
        let layers = self.layers().len();
        let done = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("store-view".to_owned());
            let thread = thread.spawn_scoped(scope, || assemble(&root, &place, over))?;
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread died")))
        });
        done.map_err(|source| Error::Mount { what: "what a container has mounted", layers, source })
    }
}

fn assemble(root: &OwnedFd, place: &Path, over: &[Over]) -> io::Result<OwnedFd> {
    namespace::unshare(clone::flags::NEWNS)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    move_mount(root, c"", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    let copy =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    for over in over {
        let tree = match open_tree(CWD, &over.source, copy) {
            Err(Errno::NOENT) => continue,
            tree => tree?,
        };
        if over.read_only {
            let change = Change { set: attr::RDONLY, ..Change::default() };
            set_attributes(tree.as_fd(), true, change, None)?;
        }
        let directory = fstat(&tree)?.st_mode & 0o170_000 == 0o040_000;
        let target = target(root.as_fd(), &over.destination, directory)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&tree, c"", &target, c"", flags)?;
    }
    Ok(open_tree(root, c"", copy | OpenTreeFlags::AT_EMPTY_PATH)?)
}

/// Opens the place of a mount, and makes what is missing of it.
fn target(root: BorrowedFd<'_>, path: &Path, directory: bool) -> Result<OwnedFd, Errno> {
    let find = |path: &Path| {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how)
    };
    match find(path) {
        Err(Errno::NOENT) => {}
        found => return found,
    }
    let mut done = PathBuf::from("/");
    let mut parts = path.components().filter(|part| matches!(part, Component::Normal(_))).peekable();
    while let Some(part) = parts.next() {
        let parent = find(&done)?;
        done.push(part);
        let made = if parts.peek().is_some() || directory {
            mkdirat(&parent, part.as_os_str(), Mode::from_raw_mode(0o755))
        } else {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            openat(&parent, part.as_os_str(), flags, Mode::from_raw_mode(0o755)).map(drop)
        };
        if let Err(errno) = made
            && errno != Errno::EXIST
        {
            return Err(errno);
        }
    }
    find(&done)
}
