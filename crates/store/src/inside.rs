//! Roots of containers that run, seen without what is mounted in them.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    thread,
};

use longshore_sys::{clone::flags, namespace};
use rustix::{
    fs::CWD,
    mount::{OpenTreeFlags, open_tree},
};

/// A copy of the mount that is the root of a mount namespace, detached and without the mounts on it. Blocks.
///
/// A second overlay of the same directories would show the same, but the kernel promises nothing of two that are in
/// use at a time, and warns of it.
pub fn root_of(mounts: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    thread::scope(|scope| {
        // A thread that has gone to other mounts does not come back.
        let thread = thread::Builder::new().name("root".to_owned());
        let thread = thread.spawn_scoped(scope, || {
            namespace::own_directory()?;
            namespace::join(mounts, flags::NEWNS)?;
            let copy = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            Ok(open_tree(CWD, c"/", copy)?)
        })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
