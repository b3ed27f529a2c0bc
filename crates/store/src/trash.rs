//! Deleting: into the trash at once, off the disk later.
//!
//! Something is removed by a rename into `trash/`, which takes microseconds whatever its size. Threads delete
//! what is there; one that has nothing to do is given a directory out of the tree that another is busy with.
//! Trees in the trash were made by images and containers: nothing in them is followed, and a descriptor is held
//! for each level, up to a depth; what is deeper is moved up into the trash first.

use std::{
    collections::VecDeque,
    ffi::{CString, OsStr},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    dir::{Dir, number},
    error::{At, Error, Result},
    failpoint,
    root::{Dirs, guard},
};

/// Levels of a tree that are held open at once.
const DEPTH: usize = 64;
/// Threads that delete. The kernel's part of it is most of the work, and two take little from who waits for it.
const WORKERS: usize = 2;

#[derive(Debug)]
pub(crate) struct Trash {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    dirs: Arc<Dirs>,
    /// Guards the queue. Taken last.
    queue: Mutex<Queue>,
    changed: Condvar,
    next: AtomicU64,
    /// Workers that wait for a name.
    idle: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    names: VecDeque<String>,
    /// Names given to the workers and not yet finished, with those in `names`.
    open: usize,
    stop: bool,
    /// The first failure since somebody asked.
    failure: Option<Error>,
}

impl Trash {
    pub(crate) fn new(dirs: Arc<Dirs>) -> Self {
        let (queue, changed) = (Mutex::default(), Condvar::new());
        let shared = Shared { dirs, queue, changed, next: AtomicU64::new(1), idle: AtomicUsize::new(0) };
        Self { shared: Arc::new(shared), workers: Mutex::default() }
    }

    /// Queues everything that is in the trash already; says how many names that was.
    pub(crate) fn resume(&self) -> Result<usize> {
        let mut names = Vec::new();
        for (name, _) in self.shared.dirs.trash.entries()? {
            if let Some(number) = number(&name) {
                self.shared.next.fetch_max(number + 1, Ordering::Relaxed);
            }
            names.push(name.to_string_lossy().into_owned());
        }
        let count = names.len();
        for name in names {
            self.queue(name);
        }
        Ok(count)
    }

    /// Takes `name` out of `from`. Nothing has it any more when this returns; its bytes are freed later.
    pub(crate) fn take(&self, from: &Dir, name: impl AsRef<OsStr>) -> Result<()> {
        if from.stat(&name)?.is_none() {
            return Ok(());
        }
        let new = self.shared.next.fetch_add(1, Ordering::Relaxed).to_string();
        match from.rename(&name, &self.shared.dirs.trash, &new) {
            Ok(()) => self.queue(new),
            // The trash itself has no room for a name: delete in place.
            Err(error) if error.is_full() => delete(from, &self.shared, name.as_ref())?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Waits until the trash is empty. Fails with the first thing that could not be deleted since the last call.
    pub(crate) fn wait(&self) -> Result<()> {
        let mut queue = guard(&self.shared.queue);
        while queue.open > 0 && !queue.stop {
            queue = self.shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.failure.take().map_or(Ok(()), Err)
    }

    fn queue(&self, name: String) {
        self.shared.queue(name);
        let mut workers = guard(&self.workers);
        while workers.len() < WORKERS {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("store-trash".to_owned());
            // Without a thread the trash stays until the next open, or the next name.
            let Ok(worker) = thread.spawn(move || shared.work()) else { break };
            workers.push(worker);
        }
    }
}

impl Drop for Trash {
    /// Stops after the name at hand. The rest goes at the next open.
    fn drop(&mut self) {
        guard(&self.shared.queue).stop = true;
        self.shared.changed.notify_all();
        for worker in guard(&self.workers).drain(..) {
            worker.join().ok();
        }
    }
}

impl Shared {
    fn queue(&self, name: String) {
        let mut queue = guard(&self.queue);
        queue.names.push_back(name);
        queue.open += 1;
        self.changed.notify_all();
    }

    /// Whether somebody waits for something to delete.
    fn is_wanted(&self) -> bool {
        self.idle.load(Ordering::Relaxed) > 0
    }

    fn work(&self) {
        let mut queue = guard(&self.queue);
        loop {
            if queue.stop {
                return;
            }
            let Some(name) = queue.names.pop_front() else {
                self.idle.fetch_add(1, Ordering::Relaxed);
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                self.idle.fetch_sub(1, Ordering::Relaxed);
                continue;
            };
            drop(queue);
            let deleted = delete(&self.dirs.trash, self, OsStr::new(&name));
            queue = guard(&self.queue);
            queue.open -= 1;
            if let Err(error) = deleted {
                queue.failure.get_or_insert(error);
            }
            self.changed.notify_all();
        }
    }
}

/// Deletes `name` in `from`, whatever it is, and everything below it.
fn delete(from: &Dir, shared: &Shared, name: &OsStr) -> Result<()> {
    failpoint::step("trash.delete").at("delete", from.join(name))?;
    let mut moved = VecDeque::new();
    tree(from.as_fd(), name.as_bytes(), shared, &mut moved).at("delete", from.join(name))?;
    while let Some(name) = moved.pop_front() {
        let trash = &shared.dirs.trash;
        tree(trash.as_fd(), &name, shared, &mut moved).at("delete", trash.join(OsStr::from_bytes(&name)))?;
    }
    Ok(())
}

/// A directory that is being emptied: its descriptor, its name in the one above, what it had in it.
struct Level {
    fd: OwnedFd,
    name: CString,
    directories: Vec<CString>,
}

/// Deletes one tree. Directories below [`DEPTH`] are moved to the trash, and their new names to `moved`. So are
/// others that a worker without work can have: those are queued.
fn tree(
    from: BorrowedFd<'_>,
    name: &[u8],
    shared: &Shared,
    moved: &mut VecDeque<Vec<u8>>,
) -> Result<(), Errno> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    match rustix::fs::unlinkat(from, &name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    let mut levels = vec![enter(from, name)?];
    loop {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { return Ok(()) };
        let Some(name) = level.directories.pop() else {
            let level = levels.pop().ok_or(Errno::NOENT)?;
            let above = levels.last().map_or(from, |above| above.fd.as_fd());
            rustix::fs::unlinkat(above, &level.name, AtFlags::REMOVEDIR)?;
            continue;
        };
        if rustix::fs::unlinkat(&level.fd, &name, AtFlags::REMOVEDIR).is_ok() {
            continue;
        }
        let deep = depth >= DEPTH;
        if deep || (shared.is_wanted() && !level.directories.is_empty()) {
            let new = shared.next.fetch_add(1, Ordering::Relaxed).to_string();
            match rustix::fs::renameat(&level.fd, &name, &shared.dirs.trash, &new) {
                Ok(()) if deep => moved.push_back(new.into_bytes()),
                Ok(()) => shared.queue(new),
                Err(error) if deep => return Err(error),
                // The trash has no room for a name.
                Err(_) => {
                    let below = enter(level.fd.as_fd(), name)?;
                    levels.push(below);
                }
            }
            continue;
        }
        let below = enter(level.fd.as_fd(), name)?;
        levels.push(below);
    }
}

/// Opens a directory, deletes the files in it, and notes the directories.
fn enter(above: BorrowedFd<'_>, name: CString) -> Result<Level, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(above, &name, flags, Mode::empty())?;
    let mut directories = Vec::new();
    for entry in rustix::fs::Dir::read_from(&fd)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes() == b"." || name.to_bytes() == b".." {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            directories.push(name.to_owned());
            continue;
        }
        match rustix::fs::unlinkat(&fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => directories.push(name.to_owned()),
            Err(error) => return Err(error),
        }
    }
    Ok(Level { fd, name, directories })
}
