//! Deleting a tree by descriptor, in bounded memory and with few descriptors, however deep it is.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use longshore_sys::resolve;
use rustix::{
    fs::{AtFlags, Dir, FileType, OFlags, RenameFlags, renameat_with, unlinkat},
    io::Errno,
};

/// Directories that are open at once. What is deeper is moved up to the top and deleted from there.
const OPEN: usize = 48;
/// How often a directory is read again that somebody fills while it is emptied.
const ROUNDS: u32 = 64;

/// Deletes `name` in `directory` and all that is below it. It is no error when it does not exist.
///
/// Never follows a link and never crosses into another file system: a tree that changes meanwhile
/// can make this fail, not reach outside.
pub fn remove_tree(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // A directory: EISDIR here, EPERM according to POSIX.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    for _ in 0..ROUNDS {
        match open(directory, name) {
            Ok(top) => empty(top)?,
            Err(Errno::NOENT) => return Ok(()),
            // Exchanged for something else since.
            Err(Errno::NOTDIR | Errno::LOOP) => match unlinkat(directory, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::ISDIR | Errno::PERM) => continue,
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
        match unlinkat(directory, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::NOTEMPTY.into())
}

/// A directory in the middle of being emptied.
struct Level {
    entries: Dir,
    /// Its name in the level above.
    name: CString,
    /// How often it was found not to be empty at the end.
    rounds: u32,
}

impl Level {
    fn new(fd: OwnedFd, name: CString) -> Result<Level, Errno> {
        Ok(Level { entries: Dir::new(fd)?, name, rounds: 0 })
    }
}

/// Deletes all that is in the directory `top`.
fn empty(top: OwnedFd) -> io::Result<()> {
    let mut hoisted = 0u64;
    let mut levels = vec![Level::new(top, CString::default())?];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.entries.next() else {
            leave(&mut levels, &mut hoisted)?;
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let fd = level.entries.fd()?;
        if entry.file_type() != FileType::Directory {
            match unlinkat(fd, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let child = match open(fd, name) {
            Ok(child) => child,
            // Gone, or exchanged: the next round sees what is there.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(error) => return Err(error.into()),
        };
        let name = name.to_owned();
        if levels.len() < OPEN {
            levels.push(Level::new(child, name)?);
        } else {
            drop(child);
            hoist(&levels, &name, &mut hoisted)?;
        }
    }
    Ok(())
}

/// Moves the directory `name` of the deepest level up into the top, under a new name.
fn hoist(levels: &[Level], name: &CStr, hoisted: &mut u64) -> io::Result<()> {
    let (Some(top), Some(deepest)) = (levels.first(), levels.last()) else { return Ok(()) };
    let (top, deepest) = (top.entries.fd()?, deepest.entries.fd()?);
    for number in 0..u64::MAX {
        let free = format!(".hoisted-{number}");
        match renameat_with(deepest, name, top, free.as_str(), RenameFlags::NOREPLACE) {
            Ok(()) => break,
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    *hoisted += 1;
    Ok(())
}

/// Deletes the deepest level, whose entries have all been seen.
fn leave(levels: &mut Vec<Level>, hoisted: &mut u64) -> io::Result<()> {
    let Some(mut level) = levels.pop() else { return Ok(()) };
    let Some(above) = levels.last() else {
        // The top itself is the caller's. What was moved there meanwhile is deleted now.
        if *hoisted > 0 {
            *hoisted = 0;
            level.entries.rewind();
            levels.push(level);
        }
        return Ok(());
    };
    match unlinkat(above.entries.fd()?, &level.name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) if level.rounds < ROUNDS => {
            level.rounds += 1;
            level.entries.rewind();
            levels.push(level);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens a directory below another, in the same file system, without following a link.
fn open(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let how = resolve::how::NO_XDEV | resolve::how::NO_SYMLINKS | resolve::how::BENEATH;
    let bits = i32::try_from(flags.bits()).map_err(|_| Errno::INVAL)?;
    resolve::open(directory, name, bits, how)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
