//! Paths that the container may not see or may not change.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use longshore_sys::mount::{self as sys_mount, Change, attr};
use rustix::{fs::OFlags, io::Errno};

use super::{
    devices, mount,
    tree::{Tree, is_directory},
};
use crate::init::{At, Step, StepError};

/// Covers each masked path: a directory by one empty read-only tmpfs, shared by all of them, a file
/// by the null device. What does not exist needs no mask.
pub(super) fn mask(tree: &Tree, paths: &[String]) -> Result<(), StepError> {
    let mut empty: Option<OwnedFd> = None;
    let mut null: Option<OwnedFd> = None;
    for path in paths {
        let Some(target) = open_existing(tree, path).on(Step::MaskedPath, path)? else { continue };
        if is_directory(&target).on(Step::MaskedPath, path)? {
            // The first takes the directory itself: before Linux 6.15 only what is attached is cloned.
            match &empty {
                Some(_) => cover(empty.as_ref(), target.as_fd()).on(Step::MaskedPath, path)?,
                None => {
                    let made = empty_directory().on(Step::MaskedPath, path)?;
                    mount::move_onto(made.as_fd(), target.as_fd()).on(Step::MaskedPath, path)?;
                    empty = Some(made);
                }
            }
        } else {
            if null.is_none() {
                null = Some(devices::open_null().on(Step::MaskedPath, "/dev/null")?);
            }
            cover(null.as_ref(), target.as_fd()).on(Step::MaskedPath, path)?;
        }
    }
    Ok(())
}

/// Makes each path, with all mounts below it, read-only.
pub(super) fn make_readonly(tree: &Tree, paths: &[String]) -> Result<(), StepError> {
    for path in paths {
        let Some(target) = open_existing(tree, path).on(Step::ReadonlyPath, path)? else { continue };
        let cover = || -> io::Result<()> {
            let copy = mount::clone_fd(target.as_fd(), true)?;
            let change = Change { set: attr::RDONLY, ..Change::default() };
            sys_mount::set_attributes(copy.as_fd(), true, change, None)?;
            mount::move_onto(copy.as_fd(), target.as_fd())
        };
        cover().on(Step::ReadonlyPath, path)?;
    }
    Ok(())
}

fn open_existing(tree: &Tree, path: &str) -> io::Result<Option<OwnedFd>> {
    match tree.open(path, OFlags::PATH) {
        Ok(found) => Ok(Some(found)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            _ => Err(error),
        },
    }
}

fn cover(with: Option<&OwnedFd>, target: BorrowedFd<'_>) -> io::Result<()> {
    let with = with.ok_or(Errno::NOENT)?;
    mount::move_onto(mount::clone_fd(with.as_fd(), false)?.as_fd(), target)
}

/// An empty tmpfs that holds nothing and never will; the smallest that the kernel makes.
fn empty_directory() -> io::Result<OwnedFd> {
    let limits =
        [("nr_blocks".to_owned(), Some("1".to_owned())), ("nr_inodes".to_owned(), Some("1".to_owned()))];
    let mount = mount::new_filesystem("tmpfs", "tmpfs", &[], &limits)?;
    let change =
        Change { set: attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC, ..Change::default() };
    sys_mount::set_attributes(mount.as_fd(), false, change, None)?;
    Ok(mount)
}
