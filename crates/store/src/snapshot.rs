//! Snapshots: the writable layer of a container or a build step, on a stack of layers.
//!
//! A snapshot is made by [`Store::snapshot`] and is there, empty, when that returns. Its mount is the caller's
//! business: [`Snapshot::mount`] gives a detached one each time it is asked, and nothing here knows whether it is
//! still in use. It ends in one of two ways: [`Snapshot::remove`], or [`Snapshot::commit`], which makes its
//! upper directory a layer by renaming it, without a copy. Before either, the caller has unmounted it.
//!
//! A persistent snapshot is found again by its number, after any restart. One of [`Life::Process`] has no row:
//! dropping it removes it, and so does a crash.

use std::{os::fd::OwnedFd, path::PathBuf, sync::Arc, time::Duration};

use longshore_types::DiffId;
use rusqlite::{Connection, OptionalExtension};
use rustix::{
    fs::{Gid, Mode, Uid},
    io::Errno,
};

use crate::{
    db,
    dir::Dir,
    error::{At, Error, Result},
    failpoint, image,
    layer::{self, Card, Layer, LayerFacts},
    lease::{self, Life},
    measure::{Usage, measure},
    overlay::{self, Access, Stack},
    root::{Inner, Store},
    wal::Durability,
};

/// What marks a directory that hides what lies below it (kernel: `Documentation/filesystems/overlayfs.rst`).
const OPAQUE: &str = "trusted.overlay.opaque";

/// A writable layer on a stack of layers.
#[derive(Debug)]
pub struct Snapshot {
    store: Arc<Inner>,
    id: u64,
    owner: String,
    /// Lowest first.
    layers: Vec<DiffId>,
    life: Life,
}

/// A persistent snapshot, as written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotEntry {
    pub id: u64,
    pub owner: String,
    /// Lowest first.
    pub layers: Vec<DiffId>,
    /// Seconds since 1970.
    pub created: i64,
    /// What it held when it was last counted.
    pub usage: Option<Usage>,
}

impl Store {
    /// Makes an empty snapshot on `layers`, lowest first. Without layers it is a root file system from nothing.
    pub fn snapshot(&self, layers: &[DiffId], owner: &str, life: Life) -> Result<Snapshot> {
        self.snapshot_for(layers, owner, life, Durability::Disk)
    }

    /// [`Store::snapshot`], which is on the disk only after [`Store::sync`] if it is left to the kernel.
    pub fn snapshot_for(
        &self,
        layers: &[DiffId],
        owner: &str,
        life: Life,
        durability: Durability,
    ) -> Result<Snapshot> {
        let id = self.0.number();
        let mut snapshot = Snapshot {
            store: Arc::clone(&self.0),
            id,
            owner: owner.to_owned(),
            layers: layers.to_vec(),
            // Until it is written down it goes with its handle.
            life: Life::Process,
        };
        self.0.staged().snapshots.insert(id);
        self.0.hold_layers(&snapshot)?;
        snapshot.make_dirs()?;
        if life == Life::Process {
            return Ok(snapshot);
        }
        let mut writer = self.0.db.writer();
        let transaction = db::begin_for(&mut writer, durability)?;
        transaction
            .prepare_cached("INSERT INTO snapshots (id, owner, created) VALUES (?1, ?2, ?3)")?
            .execute((db::to_sql(id), owner, db::now()))?;
        for (position, diff_id) in layers.iter().enumerate() {
            transaction
                .prepare_cached(
                    "INSERT INTO snapshot_layers (snapshot, position, diff_id) VALUES (?1, ?2, ?3)",
                )?
                .execute((db::to_sql(id), db::to_sql(position as u64), diff_id.0.as_str()))?;
        }
        db::commit(transaction)?;
        lease::let_go(&writer, &hold_name(id))?;
        self.0.staged().snapshots.remove(&id);
        drop(writer);
        snapshot.life = life;
        Ok(snapshot)
    }

    /// Returns when everything that was committed before is on the disk.
    pub fn sync(&self) -> Result<()> {
        failpoint::step("db.sync").at("sync", "store.db")?;
        self.0.db.wal.sync().at("sync", "store.db")
    }

    /// A persistent snapshot by its number.
    pub fn find_snapshot(&self, id: u64) -> Result<Snapshot> {
        let entry = self.0.db.read(|connection| find(connection, id))?;
        let entry = entry.ok_or(Error::NoSuchSnapshot { id })?;
        let (store, life) = (Arc::clone(&self.0), Life::Persistent);
        Ok(Snapshot { store, id, owner: entry.owner, layers: entry.layers, life })
    }

    /// The persistent snapshots.
    pub fn snapshots(&self) -> Result<Vec<SnapshotEntry>> {
        self.0.db.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM snapshots ORDER BY id")?;
            let ids = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
            ids.into_iter().filter_map(|id| find(connection, db::size(id)).transpose()).collect()
        })
    }

    /// Mounts a stack of layers, lowest first, read-only and detached.
    pub fn mount_layers(&self, layers: &[DiffId]) -> Result<OwnedFd> {
        let mut lower = self.0.lower(layers)?;
        if lower.is_empty() {
            return overlay::nothing(&self.0.dirs.layers);
        }
        if lower.len() == 1 {
            // An overlay without an upper layer wants two lower ones.
            lower.push("../empty".to_owned());
        }
        let stack = Stack { lower, upper: None, volatile: false };
        overlay::make(&self.0.dirs.layers, &stack, self.0.options.legacy_mounts)
    }
}

impl Inner {
    /// Keeps the layers of a snapshot that has no row, if they are all here.
    fn hold_layers(&self, snapshot: &Snapshot) -> Result<()> {
        let writer = self.db.writer();
        for diff_id in &snapshot.layers {
            if !image::has(&writer, "SELECT 1 FROM layers WHERE diff_id = ?1", diff_id.0.as_str())? {
                return Err(Error::NoSuchLayer { diff_id: diff_id.clone() });
            }
            lease::hold(&writer, &hold_name(snapshot.id), &snapshot.owner, "layer", diff_id.0.as_str())?;
        }
        Ok(())
    }

    /// The directories of layers, topmost first, relative to `layers/`. What lies below a layer whose root is opaque
    /// is left out: overlay merges the roots of its layers whatever they are marked with.
    fn lower(&self, layers: &[DiffId]) -> Result<Vec<String>> {
        self.db.read(|connection| {
            let mut lower = Vec::with_capacity(layers.len());
            for diff_id in layers.iter().rev() {
                let layer = layer::find(connection, diff_id)?;
                let layer = layer.ok_or_else(|| Error::NoSuchLayer { diff_id: diff_id.clone() })?;
                let name = format!("{}/fs", layer.id);
                // The same directory twice would be refused; the upper one hides all of the lower.
                if lower.contains(&name) {
                    continue;
                }
                let is_opaque = self.is_opaque(&name)?;
                lower.push(name);
                if is_opaque {
                    break;
                }
            }
            Ok(lower)
        })
    }
}

impl Inner {
    /// Whether a layer hides everything below it.
    fn is_opaque(&self, name: &str) -> Result<bool> {
        let path = self.dirs.layers.join(name);
        let mut value = [0; 8];
        match rustix::fs::lgetxattr(&path, OPAQUE, &mut value) {
            Ok(length) => Ok(value.get(..length) == Some(b"y")),
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
            // The mount says what is wrong with it.
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error).at("read the marks of", path),
        }
    }
}

fn hold_name(id: u64) -> String {
    format!("snapshot#{id}")
}

fn find(connection: &Connection, id: u64) -> Result<Option<SnapshotEntry>> {
    let key = db::to_sql(id);
    let sql = "SELECT owner, created, bytes, inodes FROM snapshots WHERE id = ?1";
    let found = connection
        .prepare_cached(sql)?
        .query_row([key], |row| {
            let (bytes, inodes): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
            Ok((row.get(0)?, row.get(1)?, bytes.zip(inodes)))
        })
        .optional()?;
    let Some((owner, created, usage)) = found else { return Ok(None) };
    let sql = "SELECT diff_id FROM snapshot_layers WHERE snapshot = ?1 ORDER BY position";
    let layers = db::digests(connection, sql, [key])?.into_iter().map(DiffId).collect();
    let usage = usage.map(|(bytes, inodes)| Usage { bytes: db::size(bytes), inodes: db::size(inodes) });
    Ok(Some(SnapshotEntry { id, owner, layers, created, usage }))
}

impl Snapshot {
    /// Its number: what it is found again by.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The layers that it stands on, lowest first.
    #[must_use]
    pub fn layers(&self) -> &[DiffId] {
        &self.layers
    }

    /// The path of its upper directory, for messages and for tools that want one.
    #[must_use]
    pub fn upper_path(&self) -> PathBuf {
        self.store.dirs.snapshots.join(self.id.to_string()).join("upper")
    }

    /// A directory with nothing in it, in every store.
    pub(crate) fn empty_path(&self) -> PathBuf {
        self.store.dirs.root.path().join("empty")
    }

    /// Opens the upper directory: what was changed, in overlay form.
    pub fn upper(&self) -> Result<OwnedFd> {
        Ok(self.dir()?.child("upper")?.into())
    }

    /// Mounts it, detached: `move_mount(2)` attaches it.
    pub fn mount(&self, access: Access) -> Result<OwnedFd> {
        let mut lower = self.store.lower(&self.layers)?;
        let place = format!("../snapshots/{}", self.id);
        if lower.is_empty() {
            lower.push("../empty".to_owned());
        }
        let upper = if access == Access::ReadOnly {
            lower.insert(0, format!("{place}/upper"));
            None
        } else {
            Some((format!("{place}/upper"), format!("{place}/work")))
        };
        let stack = Stack { lower, upper, volatile: access == Access::Volatile };
        overlay::make(&self.store.dirs.layers, &stack, self.store.options.legacy_mounts)
    }

    /// What it holds, counted anew if the last count is older than `age`.
    pub fn usage(&self, age: Duration) -> Result<Usage> {
        let key = db::to_sql(self.id);
        let last = self.store.db.read(|connection| {
            let sql = "SELECT counted FROM snapshots WHERE id = ?1";
            Ok(connection.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?)
        })?;
        let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        if let Some(Some(counted)) = last
            && db::now().saturating_sub(counted) < age
            && let Some(entry) = self.store.db.read(|connection| find(connection, self.id))?
            && let Some(usage) = entry.usage
        {
            return Ok(usage);
        }
        let usage = measure(&self.dir()?, "upper")?;
        if self.life == Life::Persistent {
            let sql = "UPDATE snapshots SET bytes = ?2, inodes = ?3, counted = ?4 WHERE id = ?1";
            let mut writer = self.store.db.writer();
            let transaction = db::begin(&mut writer)?;
            transaction.prepare_cached(sql)?.execute((
                key,
                db::to_sql(usage.bytes),
                db::to_sql(usage.inodes),
                db::now(),
            ))?;
            db::commit(transaction)?;
        }
        Ok(usage)
    }

    /// Makes its changes a layer: renamed, not copied. Where the layer is here already, the snapshot just goes.
    ///
    /// Whoever needs the layer has a lease on it by now: nothing else refers to it.
    pub fn commit(self, diff_id: DiffId, facts: LayerFacts) -> Result<Layer> {
        let store = Arc::clone(&self.store);
        if let Some(found) = store.db.read(|connection| layer::find(connection, &diff_id))? {
            self.remove()?;
            return Ok(found);
        }
        let mut place = layer::Place::new(&store);
        let new = store.dirs.layers.make(&place.name(), 0o700)?;
        // Who finds this layer without a row knows where it belongs.
        let snapshot = (self.life == Life::Persistent).then_some(self.id);
        let card = Card { diff_id: diff_id.clone(), facts, created: db::now(), snapshot };
        new.replace("layer.json", &layer::write_card(&card))?;
        let dir = self.dir()?;
        let mut moved = Moved { from: &dir, to: &new, done: false };
        dir.rename("upper", &new, "fs")?;
        failpoint::step("snapshot.syncfs").at("sync", store.dirs.root.path())?;
        rustix::fs::syncfs(&store.dirs.root).at("sync", store.dirs.root.path())?;
        let mut writer = store.db.writer();
        let transaction = db::begin(&mut writer)?;
        layer::insert(&transaction, place.id, &card)?;
        delete_rows(&transaction, self.id)?;
        db::commit(transaction)?;
        moved.done = true;
        place.kept = true;
        drop(writer);
        self.discard()?;
        let facts = card.facts;
        Ok(Layer { diff_id, id: place.id, facts })
    }

    /// Removes it with everything that was written to it.
    pub fn remove(self) -> Result<()> {
        self.remove_for(Durability::Disk)
    }

    /// [`Snapshot::remove`]. Where it is left to the kernel, a power loss may bring it back, empty: for owners who know
    /// which of theirs are to be gone.
    pub fn remove_for(self, durability: Durability) -> Result<()> {
        if self.life == Life::Persistent {
            let store = Arc::clone(&self.store);
            store.removing(|| {
                let mut writer = store.db.writer();
                let transaction = db::begin_for(&mut writer, durability)?;
                delete_rows(&transaction, self.id)?;
                db::commit(transaction)
            })?;
        }
        self.discard()
    }

    fn dir(&self) -> Result<Dir> {
        self.store.dirs.snapshots.child(self.id.to_string())
    }

    fn make_dirs(&self) -> Result<()> {
        let dir = self.store.dirs.snapshots.make(&self.id.to_string(), 0o700)?;
        let upper = dir.make("upper", 0o755)?;
        dir.make("work", 0o700)?;
        // The root of the merged tree has the attributes of the upper directory.
        if let Some(top) = self.store.lower(&self.layers)?.first() {
            let path = self.store.dirs.layers.join(top);
            let stat = rustix::fs::stat(&path).at("look at", &path)?;
            let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
            rustix::fs::fchown(&upper, Some(uid), Some(gid)).at("protect", upper.path())?;
            rustix::fs::fchmod(&upper, Mode::from_raw_mode(stat.st_mode)).at("protect", upper.path())?;
        }
        Ok(())
    }

    /// Takes its directory, now that no row has it.
    fn discard(mut self) -> Result<()> {
        // Dropping must not do it again.
        self.life = Life::Persistent;
        self.forget();
        self.store.trash.take(&self.store.dirs.snapshots, self.id.to_string())
    }

    fn forget(&self) {
        lease::let_go(&self.store.db.writer(), &hold_name(self.id)).ok();
        self.store.staged().snapshots.remove(&self.id);
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if self.life == Life::Process {
            self.forget();
            // What cannot be removed now goes at the next open.
            self.store.trash.take(&self.store.dirs.snapshots, self.id.to_string()).ok();
        }
    }
}

fn delete_rows(connection: &Connection, id: u64) -> Result<()> {
    for sql in ["DELETE FROM snapshot_layers WHERE snapshot = ?1", "DELETE FROM snapshots WHERE id = ?1"] {
        connection.prepare_cached(sql)?.execute([db::to_sql(id)])?;
    }
    Ok(())
}

/// An upper directory on its way to a layer. Goes back when dropped before it is done.
struct Moved<'a> {
    from: &'a Dir,
    to: &'a Dir,
    done: bool,
}

impl Drop for Moved<'_> {
    fn drop(&mut self) {
        if !self.done {
            // Where this fails, the next open does it.
            self.to.rename("fs", self.from, "upper").ok();
        }
    }
}
