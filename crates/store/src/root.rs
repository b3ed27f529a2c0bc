//! Opening the data root: directories, lock, numbers.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use longshore_types::{Algorithm, Digest};
use rustix::fs::{FlockOperation, Mode};

use crate::{
    db::{self, Db},
    dir::{Dir, number},
    error::{At, Error, Result},
    flush::Flush,
    recover::{self, Recovery},
    reserve,
    trash::Trash,
};

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keep the compressed form of a layer after unpacking it. Without, a recipe is kept where there is one.
    pub keep_compressed: bool,
    /// Bytes set aside for removing things when the disk is full.
    pub reserve: u64,
    /// Names directly below the data root that belong to others: not looked at, not counted.
    pub others: Vec<String>,
    /// Mount as on a kernel before 6.8: for tests.
    #[doc(hidden)]
    pub legacy_mounts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep_compressed: true, reserve: 4 << 20, others: Vec::new(), legacy_mounts: false }
    }
}

/// The images of one data root. The module comment of the crate has the layout and the rules.
#[derive(Clone, Debug)]
pub struct Store(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) db: Db,
    pub(crate) dirs: Arc<Dirs>,
    pub(crate) trash: Trash,
    pub(crate) flush: Flush,
    /// What is being made. No lock is taken while this one is held.
    pub(crate) staged: Mutex<Staged>,
    /// The next number of a layer, a snapshot or anything temporary.
    next: AtomicU64,
    /// Held as long as the store is open; dropped last.
    _lock: Lock,
}

/// Names of what is being made, so that nobody takes them for garbage or makes them twice.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) blobs: HashSet<Digest>,
    pub(crate) layers: HashSet<u64>,
    pub(crate) files: HashSet<String>,
    pub(crate) snapshots: HashSet<u64>,
}

/// The directories of a data root.
#[derive(Debug)]
pub(crate) struct Dirs {
    pub(crate) root: Dir,
    pub(crate) layout: Dir,
    pub(crate) sha256: Dir,
    pub(crate) sha512: Dir,
    pub(crate) ingest: Dir,
    pub(crate) layers: Dir,
    pub(crate) snapshots: Dir,
    pub(crate) trash: Dir,
    pub(crate) quarantine: Dir,
}

impl Dirs {
    fn open(root: &Path) -> Result<Self> {
        let root = Dir::at(root)?;
        let layout = root.ensure("store")?;
        let blobs = layout.ensure("blobs")?;
        root.ensure("empty")?;
        Ok(Self {
            sha256: blobs.ensure("sha256")?,
            sha512: blobs.ensure("sha512")?,
            ingest: layout.ensure("ingest")?,
            layers: root.ensure("layers")?,
            snapshots: root.ensure("snapshots")?,
            trash: root.ensure("trash")?,
            quarantine: root.ensure("quarantine")?,
            layout,
            root,
        })
    }

    /// Where blobs of this kind are.
    pub(crate) fn blobs(&self, algorithm: Algorithm) -> &Dir {
        match algorithm {
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha512 => &self.sha512,
        }
    }
}

impl Store {
    /// Opens the data root `root`, and makes it if there is none. Removes what a crash left, and says so.
    pub fn open(root: impl AsRef<Path>, options: Options) -> Result<(Self, Recovery)> {
        let root = root.as_ref();
        std::fs::create_dir_all(root).at("create", root)?;
        let dir = Dir::at(root)?;
        rustix::fs::fchmod(&dir, Mode::from_raw_mode(0o710)).at("protect", root)?;
        let lock = lock(&dir)?;
        let dirs = Arc::new(Dirs::open(root)?);
        let (db, lost) = match database(&dirs) {
            // SQLite needs a little room to open, too.
            Err(error) if reserve::needs_room(&error) => {
                reserve::give_up(&dirs.root)?;
                database(&dirs)?
            }
            opened => opened?,
        };
        let next = AtomicU64::new(1 + highest_number(&dirs)?);
        let trash = Trash::new(Arc::clone(&dirs));
        let flush = Flush::new(Arc::clone(&dirs));
        let store = Self(Arc::new(Inner {
            options,
            db,
            dirs,
            trash,
            flush,
            staged: Mutex::default(),
            next,
            _lock: lock,
        }));
        let recovery = store.0.removing(|| recover::run(&store.0, lost.as_deref()))?;
        // Best effort: without room for it the store works too, and removing something makes room.
        store.0.make_reserve().ok();
        Ok((store, recovery))
    }

    /// The path of the data root.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.0.dirs.root.path()
    }

    /// The path of the image layout in it, for other tools.
    #[must_use]
    pub fn layout(&self) -> PathBuf {
        self.0.dirs.layout.path().to_owned()
    }

    /// How it was opened.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Waits until everything removed so far is off the disk.
    pub fn wait_for_trash(&self) -> Result<()> {
        self.0.trash.wait()
    }
}

impl Inner {
    /// A number that nothing in the data root has had since it was opened.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn staged(&self) -> MutexGuard<'_, Staged> {
        guard(&self.staged)
    }
}

/// Locks, also after a thread died with the lock: every state behind our locks is valid between statements.
pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The data root is this process's. Given back in so many words: a child that was forked and has not executed its
/// program yet has the descriptor too, and closing ours would not give it back before that.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        rustix::fs::flock(&self.0, FlockOperation::Unlock).ok();
    }
}

/// Takes the data root for this process. The kernel gives it back however the process ends.
fn lock(root: &Dir) -> Result<Lock> {
    let path = root.join("lock");
    let mut file = root.create("lock")?;
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut text = String::new();
        (&mut file).take(32).read_to_string(&mut text).ok();
        return Err(Error::Locked { root: root.path().to_owned(), pid: text.trim().parse().ok() });
    }
    file.set_len(0).at("write", &path)?;
    file.rewind().at("write", &path)?;
    // A full disk is no reason to refuse: the pid is only for the message.
    writeln!(file, "{}", std::process::id()).ok();
    Ok(Lock(file))
}

/// Opens the database; a damaged one is set aside. Says what was wrong, if it is to be made again from the disk.
fn database(dirs: &Dirs) -> Result<(Db, Option<String>)> {
    let root = dirs.root.path();
    let path = dirs.root.join("store.db");
    match Db::open(&path, root) {
        Ok(db) if db.is_new && !(dirs.layers.entries()?.is_empty() && dirs.sha256.entries()?.is_empty()) => {
            Ok((db, Some("store.db: it was gone".to_owned())))
        }
        Ok(db) => Ok((db, None)),
        Err(error) if db::is_damage(&error) => {
            let number = 1 + highest_number(dirs)?;
            for name in ["store.db", "store.db-wal", "store.db-shm"] {
                if dirs.root.stat(name)?.is_some() {
                    dirs.root.rename(name, &dirs.quarantine, format!("{number}-{name}"))?;
                }
            }
            let why = format!("store.db: {error}; set aside as quarantine/{number}-store.db");
            Ok((Db::open(&path, root)?, Some(why)))
        }
        Err(error) => Err(error),
    }
}

/// The highest number in use below the data root, row or not.
fn highest_number(dirs: &Dirs) -> Result<u64> {
    let mut highest = 0;
    for dir in [&dirs.layers, &dirs.snapshots, &dirs.trash, &dirs.quarantine] {
        for (name, _) in dir.entries()? {
            // What is in quarantine has its old name behind a number.
            let first = name.to_str().and_then(|name| name.split('-').next()).unwrap_or_default();
            highest = highest.max(number(OsStr::new(first)).unwrap_or(0));
        }
    }
    Ok(highest)
}
