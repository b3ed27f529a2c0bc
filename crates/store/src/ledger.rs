//! Every byte below the data root, and whose it is.
//!
//! Bytes are the lengths of regular files, hard links once. What belongs to no row, to nothing being made and to no
//! fixed file is *unaccounted*, which is 0 unless somebody else writes below the data root.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    path::PathBuf,
    time::Duration,
};

use longshore_types::{Algorithm, Digest};

use crate::{
    blob, db,
    dir::{Dir, number},
    error::Result,
    measure::measure,
    root::{Inner, Staged, Store},
};

/// Bytes below the data root by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub blobs: u64,
    /// Downloads that broke off, kept to go on from.
    pub partials: u64,
    /// What is being made right now.
    pub staged: u64,
    pub layers: u64,
    pub snapshots: u64,
    /// Removed, and not yet deleted.
    pub trash: u64,
    /// Damaged things that were put away.
    pub quarantine: u64,
    /// The database, the index, the reserve, and the card of each layer.
    pub metadata: u64,
    /// What nothing here knows.
    pub unaccounted: u64,
    /// Where that is.
    pub unaccounted_paths: Vec<PathBuf>,
}

impl Ledger {
    /// All bytes below the data root but those of others.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.blobs
            + self.partials
            + self.staged
            + self.layers
            + self.snapshots
            + self.trash
            + self.quarantine
            + self.metadata
            + self.unaccounted
    }
}

/// Files of fixed names in the data root.
const ROOT_FILES: &[&str] = &["lock", "reserve", "store.db", "store.db-wal", "store.db-shm"];
/// Directories of fixed names in the data root.
const ROOT_DIRS: &[&str] = &["store", "layers", "snapshots", "trash", "quarantine", "empty"];

impl Store {
    /// Adds everything up: from the database and the names in the data root; only snapshots are counted, when their
    /// last count is older than `age`.
    pub fn ledger(&self, age: Duration) -> Result<Ledger> {
        let mut count = Count { handle: self, store: &self.0, ledger: Ledger::default() };
        // Nobody commits meanwhile: rows and names are of one moment.
        let writer = self.0.db.writer();
        let mut sizes = HashMap::new();
        let mut layers = HashMap::new();
        {
            let mut statement = writer.prepare_cached("SELECT digest, size FROM blobs")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                sizes.insert(row.get::<_, String>(0)?, db::size(row.get(1)?));
            }
            let mut statement = writer.prepare_cached("SELECT id, bytes FROM layers")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                layers.insert(db::size(row.get(0)?), db::size(row.get(1)?));
            }
        }
        let snapshots: HashSet<u64> = {
            let mut statement = writer.prepare_cached("SELECT id FROM snapshots")?;
            let ids = statement.query_map([], |row| row.get(0))?;
            ids.map(|id| Ok(db::size(id?))).collect::<Result<_>>()?
        };
        count.layout(&sizes)?;
        count.layers(&layers)?;
        drop(writer);
        count.snapshots(&snapshots, age)?;
        // Last: counting a snapshot is written down in the database.
        count.root()?;
        let dirs = &self.0.dirs;
        count.ledger.trash = contents(&dirs.trash)?;
        count.ledger.quarantine = contents(&dirs.quarantine)?;
        Ok(count.ledger)
    }
}

struct Count<'a> {
    handle: &'a Store,
    store: &'a Inner,
    ledger: Ledger,
}

impl Count<'_> {
    fn root(&mut self) -> Result<()> {
        let root = &self.store.dirs.root;
        for (name, _) in root.entries()? {
            let is = |names: &[&str]| names.iter().any(|known| *known == name);
            if is(ROOT_FILES) {
                self.ledger.metadata += length(root, &name)?;
            } else if !is(ROOT_DIRS) && !self.store.options.others.iter().any(|other| **other == *name) {
                self.unknown(root, &name)?;
            }
        }
        let empty = root.child("empty")?;
        empty.entries()?.iter().try_for_each(|(name, _)| self.unknown(&empty, name))
    }

    fn layout(&mut self, sizes: &HashMap<String, u64>) -> Result<()> {
        let dirs = &self.store.dirs;
        for (name, _) in dirs.layout.entries()? {
            match name.to_str() {
                Some("blobs" | "ingest") => {}
                Some("oci-layout" | "index.json") => self.ledger.metadata += length(&dirs.layout, &name)?,
                _ => self.unknown(&dirs.layout, &name)?,
            }
        }
        let blobs = dirs.layout.child("blobs")?;
        for (name, _) in blobs.entries()? {
            if name != "sha256" && name != "sha512" {
                self.unknown(&blobs, &name)?;
            }
        }
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let dir = dirs.blobs(algorithm);
            for (name, _) in dir.entries()? {
                let digest = format!("{}:{}", algorithm.name(), name.display());
                match sizes.get(&digest) {
                    Some(_) => self.ledger.blobs += length(dir, &name)?,
                    None => self.unknown(dir, &name)?,
                }
            }
        }
        for (name, _) in dirs.ingest.entries()? {
            let partial = name.to_str().and_then(blob::partial_of);
            let is_staged = self.is_staged(|staged| {
                partial.as_ref().is_some_and(|(digest, _): &(Digest, u64)| staged.blobs.contains(digest))
                    || name.to_str().is_some_and(|name| staged.files.contains(name))
            });
            let bytes = length(&dirs.ingest, &name)?;
            match (is_staged, partial) {
                (true, _) => self.ledger.staged += bytes,
                (false, Some(_)) => self.ledger.partials += bytes,
                (false, None) => self.unknown(&dirs.ingest, &name)?,
            }
        }
        Ok(())
    }

    fn layers(&mut self, rows: &HashMap<u64, u64>) -> Result<()> {
        let layers = &self.store.dirs.layers;
        for (name, _) in layers.entries()? {
            let id = number(&name);
            if let Some(bytes) = id.and_then(|id| rows.get(&id)) {
                self.ledger.layers += bytes;
                let layer = layers.child(&name)?;
                for (name, _) in layer.entries()? {
                    match name.to_str() {
                        Some("fs") => {}
                        Some("layer.json") => self.ledger.metadata += length(&layer, &name)?,
                        _ => self.unknown(&layer, &name)?,
                    }
                }
            } else if self.is_staged(|staged| id.is_some_and(|id| staged.layers.contains(&id))) {
                self.ledger.staged += tree(layers, &name)?;
            } else {
                self.unknown(layers, &name)?;
            }
        }
        Ok(())
    }

    fn snapshots(&mut self, rows: &HashSet<u64>, age: Duration) -> Result<()> {
        let snapshots = &self.store.dirs.snapshots;
        for (name, _) in snapshots.entries()? {
            let Some(id) = number(&name) else {
                self.unknown(snapshots, &name)?;
                continue;
            };
            if self.is_staged(|staged| staged.snapshots.contains(&id)) {
                self.ledger.staged += tree(snapshots, &name)?;
                continue;
            }
            if !rows.contains(&id) {
                self.unknown(snapshots, &name)?;
                continue;
            }
            // Removed since the rows were read: in the trash by now.
            let Ok(snapshot) = self.handle.find_snapshot(id) else { continue };
            let Ok(dir) = snapshots.child(&name) else { continue };
            self.ledger.snapshots += snapshot.usage(age)?.bytes + tree(&dir, OsStr::new("work"))?;
            for (name, _) in dir.entries()? {
                if name != "upper" && name != "work" {
                    self.unknown(&dir, &name)?;
                }
            }
        }
        Ok(())
    }

    fn is_staged(&self, find: impl FnOnce(&Staged) -> bool) -> bool {
        find(&self.store.staged())
    }

    fn unknown(&mut self, dir: &Dir, name: &OsStr) -> Result<()> {
        self.ledger.unaccounted += tree(dir, name)?;
        self.ledger.unaccounted_paths.push(dir.join(name));
        Ok(())
    }
}

/// The length of a file; 0 if it just went.
fn length(dir: &Dir, name: &OsStr) -> Result<u64> {
    Ok(dir.stat(name)?.map_or(0, |stat| db::size(stat.st_size)))
}

/// The bytes in something that may be on its way out.
fn tree(dir: &Dir, name: &OsStr) -> Result<u64> {
    if dir.stat(name)?.is_none() {
        return Ok(0);
    }
    Ok(measure(dir, name).map(|usage| usage.bytes).unwrap_or_default())
}

/// The bytes of everything in a directory.
fn contents(dir: &Dir) -> Result<u64> {
    dir.entries()?.iter().map(|(name, _)| tree(dir, name)).sum()
}
