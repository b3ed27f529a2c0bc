//! Writing to the disk while layers are still being filled.
//!
//! `commit_all` ends with one `syncfs(2)`. If nothing was written back before it, the disk idles while the processor
//! works and the processor while the disk does. So a thread calls `syncfs` every half second as long as there is a
//! layer in the making. Measured on a fresh ext4 with 0.9 GB in 20,000 files: 7.7 s instead of 8.9, and 5.5 instead
//! of 7.8 on a quieter disk, for no processor time; `sync_file_range` for each file gains as much but costs a
//! fifth more processor time, and for the large files alone it gains nothing.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use crate::root::{Dirs, guard};

const PERIOD: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Flush {
    shared: Arc<Shared>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    dirs: Arc<Dirs>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Layers in the making.
    layers: usize,
    stop: bool,
}

impl Flush {
    pub(crate) fn new(dirs: Arc<Dirs>) -> Self {
        let shared = Shared { dirs, state: Mutex::default(), changed: Condvar::new() };
        Self { shared: Arc::new(shared), worker: Mutex::default() }
    }

    /// One more layer is being filled.
    pub(crate) fn begin(&self) {
        guard(&self.shared.state).layers += 1;
        self.shared.changed.notify_all();
        let mut worker = guard(&self.worker);
        if worker.is_none() {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("store-flush".to_owned());
            // Without a thread all is written at the end.
            *worker = thread.spawn(move || shared.work()).ok();
        }
    }

    /// One layer less is.
    pub(crate) fn end(&self) {
        guard(&self.shared.state).layers -= 1;
        self.shared.changed.notify_all();
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        guard(&self.shared.state).stop = true;
        self.shared.changed.notify_all();
        if let Some(worker) = guard(&self.worker).take() {
            worker.join().ok();
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut state = guard(&self.state);
        while !state.stop {
            if state.layers == 0 {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let idle = |state: &mut State| state.layers > 0 && !state.stop;
            let waited = self.changed.wait_timeout_while(state, PERIOD, idle);
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            drop(now);
            if timeout.timed_out() {
                // The sync that counts is the commit's, and it reports.
                rustix::fs::syncfs(&self.dirs.root).ok();
            }
            state = guard(&self.state);
        }
    }
}
