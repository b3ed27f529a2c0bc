//! The write-ahead log of an SQLite database, made durable beside SQLite.
//!
//! A database that commits with `synchronous=normal` writes its log and leaves it to the kernel. [`Wal::sync`] then
//! puts on the disk what is written by that time. Whoever asks while another is at it waits for the next turn, which
//! is for everybody: a hundred commits at once cost two waits. `fdatasync(2)` does; SQLite would take `fsync(2)`,
//! which writes the time of the last change as well, and does it with the database locked.
//!
//! A log is a prefix: what is durable never misses an earlier commit.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, PoisonError},
};

use crate::root::guard;

/// When a change counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on the disk.
    Disk,
    /// Once the kernel has it: it survives the end of this process, but not the machine's, until something later is
    /// made durable.
    Kernel,
}

/// The log of one database that is open. SQLite keeps the file as long as any connection is.
#[derive(Debug)]
pub struct Wal {
    path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Opened by the first sync: SQLite makes it with the first commit.
    file: Option<std::sync::Arc<File>>,
    /// Turns that were asked for, begun with, and over.
    wanted: u64,
    over: u64,
    busy: bool,
    /// The kernel could not write something, and says so only once (fsync(2)): nobody knows what is on the disk.
    failed: Option<i32>,
}

impl Wal {
    /// The log of the database at `path`.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        Self { path: name.into(), state: Mutex::default(), changed: Condvar::new() }
    }

    /// Returns when everything that was committed before this call is on the disk.
    ///
    /// # Errors
    /// What the kernel says. After that every call fails, until the database is opened anew.
    pub fn sync(&self) -> io::Result<()> {
        let mut state = guard(&self.state);
        state.wanted += 1;
        let mine = state.wanted;
        while state.busy && state.over < mine {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(errno) = state.failed {
            return Err(io::Error::from_raw_os_error(errno));
        }
        if state.over >= mine {
            return Ok(());
        }
        state.busy = true;
        let (turn, opened) = (state.wanted, state.file.clone());
        drop(state);
        let synced = opened.map_or_else(|| self.open(), Ok).and_then(|file| {
            file.sync_data()?;
            Ok(file)
        });
        let mut state = guard(&self.state);
        state.busy = false;
        self.changed.notify_all();
        match synced {
            Ok(file) => {
                state.over = turn;
                state.file = Some(file);
                Ok(())
            }
            Err(error) => {
                state.failed = Some(error.raw_os_error().unwrap_or_default());
                Err(error)
            }
        }
    }

    /// Opens the log and makes its name durable.
    fn open(&self) -> io::Result<std::sync::Arc<File>> {
        let file = File::open(&self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(std::sync::Arc::new(file))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use rusqlite::Connection;

    use super::Wal;

    #[test]
    fn commits_of_many_threads_are_synced_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.pragma_update(None, "synchronous", "normal").unwrap();
        connection.execute_batch("CREATE TABLE t (a INTEGER)").unwrap();
        let (wal, connection) = (Wal::of(&path), std::sync::Mutex::new(connection));
        let done = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (wal, connection, done) = (&wal, &connection, &done);
                scope.spawn(move || {
                    for _ in 0..20 {
                        connection.lock().unwrap().execute("INSERT INTO t VALUES (?1)", [number]).unwrap();
                        wal.sync().unwrap();
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 160);
        let state = wal.state.lock().unwrap();
        assert_eq!((state.wanted, state.over), (160, 160));
        assert!(!state.busy);
    }

    #[test]
    fn a_log_that_cannot_be_synced_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let wal = Wal::of(&dir.path().join("absent.db"));
        assert_eq!(wal.sync().unwrap_err().kind(), std::io::ErrorKind::NotFound);
        std::fs::write(dir.path().join("absent.db-wal"), "").unwrap();
        assert_eq!(wal.sync().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}
