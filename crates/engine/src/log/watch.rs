//! Waking who follows a log when its directory changes.

use std::{
    collections::HashMap,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use tokio::{io::unix::AsyncFd, sync::watch};

use super::Error;
use crate::ready;

/// One inotify instance for all followers: the kernel gives a user 128.
#[derive(Clone, Debug, Default)]
pub(super) struct Watcher(Arc<OnceLock<Arc<Inner>>>);

#[derive(Debug)]
struct Inner {
    inotify: Arc<OwnedFd>,
    /// By watch: who is told, and how many they are.
    watches: Mutex<HashMap<i32, (watch::Sender<()>, usize)>>,
}

/// A directory that is watched until this is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Arc<Inner>,
    number: i32,
    pub(super) changes: watch::Receiver<()>,
}

impl Watcher {
    /// Watches a directory: files in it that are written, made, renamed.
    pub(super) fn watch(&self, directory: &Path) -> Result<Watched, Error> {
        let failed =
            |errno: Errno| Error::Watch { object: directory.display().to_string(), source: errno.into() };
        let inner = self.inner().map_err(failed)?;
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        // Under the lock, so that nobody removes the same watch meanwhile.
        let mut watches = inner.watches();
        let number = inotify::add_watch(&*inner.inotify, directory, flags).map_err(failed)?;
        let (sender, count) = watches.entry(number).or_insert_with(|| (watch::Sender::new(()), 0));
        *count += 1;
        let changes = sender.subscribe();
        drop(watches);
        Ok(Watched { inner, number, changes })
    }

    fn inner(&self) -> Result<Arc<Inner>, Errno> {
        if let Some(inner) = self.0.get() {
            return Ok(Arc::clone(inner));
        }
        let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?);
        let inner = Arc::new(Inner { inotify: Arc::clone(&inotify), watches: Mutex::default() });
        let made = Arc::clone(self.0.get_or_init(|| Arc::clone(&inner)));
        if Arc::ptr_eq(&made, &inner) {
            let events =
                ready::watch(inotify).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            tokio::spawn(tell(events, Arc::clone(&inner)));
        }
        Ok(made)
    }
}

impl Inner {
    fn watches(&self) -> MutexGuard<'_, HashMap<i32, (watch::Sender<()>, usize)>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut watches = self.inner.watches();
        if let Some((_, count)) = watches.get_mut(&self.number) {
            *count -= 1;
            if *count == 0 {
                watches.remove(&self.number);
                // The directory may be gone, and its watch with it.
                inotify::remove_watch(&*self.inner.inotify, self.number).ok();
            }
        }
    }
}

/// Passes on what the kernel tells, for as long as the daemon runs.
async fn tell(events: AsyncFd<Arc<OwnedFd>>, inner: Arc<Inner>) {
    while let Ok(mut ready) = events.readable().await {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = inotify::Reader::new(ready.get_inner(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                    inner.watches().values().for_each(|(sender, _)| sender.send_replace(()));
                }
                Ok(event) => {
                    if let Some((sender, _)) = inner.watches().get(&event.wd()) {
                        sender.send_replace(());
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        ready.clear_ready();
    }
}
