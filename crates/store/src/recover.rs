//! What is found when the store opens: the other half of the crash protocol.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;

use longshore_types::{Algorithm, Digest};
use rusqlite::Connection;

use crate::{
    blob, db,
    dir::{Dir, number},
    error::Result,
    index,
    layer::{CARD_LIMIT, Card},
    measure::measure,
    root::{Dirs, Inner},
};

/// What a crash, a power cut or damage had left, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Blobs, layers and snapshots without a row, deleted: their names below the data root.
    pub removed: Vec<String>,
    /// The bytes of files in them.
    pub removed_bytes: u64,
    /// Snapshots whose commit had begun, and which are as they were before.
    pub restored: Vec<String>,
    /// Snapshots that power loss took the directories of; made again, empty.
    pub emptied: Vec<u64>,
    /// What was damaged and is out of use: a pull of the image heals it.
    pub damaged: Vec<String>,
    /// Things that were being deleted already.
    pub trash: usize,
    /// Partial downloads that are kept for the next pull.
    pub partials: usize,
    /// Whether `index.json` had to be written again.
    pub index_rewritten: bool,
}

impl Recovery {
    /// Whether there was nothing that an orderly end would not have left too.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let kept = Self { partials: self.partials, ..Self::default() };
        *self == kept
    }
}

/// The file that says that a directory is an image layout (image-spec `image-layout.md`).
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Compares what is there with what should be, and throws away what should not.
pub(crate) fn run(store: &Inner) -> Result<Recovery> {
    let mut recovery = Recovery { trash: store.trash.resume()?, ..Recovery::default() };
    let dirs = &store.dirs;
    let layout = &dirs.layout;
    if layout.read("oci-layout", 1 << 10)?.is_none_or(|found| found != LAYOUT) {
        layout.replace("oci-layout", LAYOUT)?;
    }
    for (dir, name) in [(layout, "oci-layout.new"), (layout, "index.json.new")] {
        dir.unlink(name)?;
    }
    let mut writer = store.db.writer();
    ingest(dirs, &mut recovery)?;
    blobs(store, &mut writer, &mut recovery)?;
    layers(store, &mut writer, &mut recovery)?;
    snapshots(store, &writer, &mut recovery)?;
    recovery.index_rewritten = index::write(store, &writer)?;
    Ok(recovery)
}

/// Keeps partial downloads, removes what has no name to be found again by.
fn ingest(dirs: &Dirs, recovery: &mut Recovery) -> Result<()> {
    for (name, _) in dirs.ingest.entries()? {
        let Some(text) = name.to_str() else { continue };
        if blob::partial_of(text).is_some() {
            recovery.partials += 1;
        } else if text.starts_with("new-") {
            recovery.removed_bytes += measure(&dirs.ingest, text)?.bytes;
            recovery.removed.push(format!("store/ingest/{text}"));
            dirs.ingest.unlink(text)?;
        }
    }
    Ok(())
}

fn blobs(store: &Inner, writer: &mut Connection, recovery: &mut Recovery) -> Result<()> {
    let mut rows = HashMap::new();
    {
        let mut statement = writer.prepare("SELECT digest, size FROM blobs")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            rows.insert(row.get::<_, String>(0)?, db::size(row.get(1)?));
        }
    }
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let dir = store.dirs.blobs(algorithm);
        for (name, _) in dir.entries()? {
            let digest = name.to_str().map(|name| format!("{}:{name}", algorithm.name()));
            let Some(digest) = digest.filter(|digest| digest.parse::<Digest>().is_ok()) else { continue };
            match rows.get(&digest) {
                None => orphan(store, dir, &name, recovery)?,
                Some(size) => {
                    let found = dir.stat(&name)?.map(|stat| db::size(stat.st_size));
                    if found == Some(*size) {
                        rows.remove(&digest);
                    }
                }
            }
        }
    }
    // What is left has no file, or one of another length.
    let damaged: Vec<_> = rows.into_keys().collect();
    for digest in &damaged {
        if let Ok(digest) = digest.parse::<Digest>() {
            quarantine(store, store.dirs.blobs(digest.algorithm()), digest.hex())?;
        }
    }
    forget(writer, "DELETE FROM blobs WHERE digest = ?1", &damaged)?;
    recovery.damaged.extend(damaged);
    Ok(())
}

fn layers(store: &Inner, writer: &mut Connection, recovery: &mut Recovery) -> Result<()> {
    let dir = &store.dirs.layers;
    let mut rows = HashMap::new();
    {
        let mut statement = writer.prepare("SELECT id, diff_id FROM layers")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            rows.insert(db::size(row.get(0)?), row.get::<_, String>(1)?);
        }
    }
    let mut damaged = Vec::new();
    for (name, _) in dir.entries()? {
        let Some(id) = number(&name) else { continue };
        match rows.remove(&id) {
            None => {
                give_back(store, writer, &dir.child(&name)?, recovery)?;
                orphan(store, dir, &name, recovery)?;
            }
            Some(diff_id) => {
                let whole = dir.child(&name).and_then(|dir| dir.child("fs")).is_ok();
                let card = dir.child(&name).ok().and_then(|dir| card(&dir));
                if !whole || card.is_none_or(|card| card.diff_id.0.as_str() != diff_id) {
                    quarantine(store, dir, &name)?;
                    damaged.push(diff_id);
                }
            }
        }
    }
    damaged.extend(rows.into_values());
    forget(writer, "DELETE FROM layers WHERE diff_id = ?1", &damaged)?;
    recovery.damaged.extend(damaged.into_iter().map(|diff_id| format!("layer {diff_id}")));
    Ok(())
}

/// Returns what [`crate::Snapshot::commit`] had taken from a snapshot that is still one.
fn give_back(store: &Inner, writer: &Connection, layer: &Dir, recovery: &mut Recovery) -> Result<()> {
    let Some(id) = card(layer).and_then(|card| card.snapshot) else { return Ok(()) };
    let exists = writer.prepare_cached("SELECT 1 FROM snapshots WHERE id = ?1")?.exists([db::to_sql(id)])?;
    if !exists || layer.stat("fs")?.is_none() {
        return Ok(());
    }
    let Ok(snapshot) = store.dirs.snapshots.child(id.to_string()) else { return Ok(()) };
    if snapshot.stat("upper")?.is_none() {
        layer.rename("fs", &snapshot, "upper")?;
        recovery.restored.push(format!("snapshots/{id}"));
    }
    Ok(())
}

fn snapshots(store: &Inner, writer: &Connection, recovery: &mut Recovery) -> Result<()> {
    let dir = &store.dirs.snapshots;
    let mut statement = writer.prepare("SELECT id FROM snapshots")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    let mut rows = rows.map(|id| Ok(db::size(id?))).collect::<Result<HashSet<u64>>>()?;
    for (name, _) in dir.entries()? {
        let Some(id) = number(&name) else { continue };
        if !rows.contains(&id) {
            orphan(store, dir, &name, recovery)?;
        } else {
            let snapshot = dir.child(&name)?;
            if snapshot.stat("upper")?.is_some() && snapshot.stat("work")?.is_some() {
                rows.remove(&id);
            }
        }
    }
    // The rows were on disk before the directories were, which were empty then.
    for id in rows {
        let snapshot = dir.ensure(&id.to_string())?;
        if snapshot.stat("upper")?.is_none() {
            snapshot.make("upper", 0o755)?;
        }
        snapshot.ensure("work")?;
        recovery.emptied.push(id);
    }
    Ok(())
}

/// What `layer.json` says, if it says something.
pub(crate) fn card(dir: &Dir) -> Option<Card> {
    let content = dir.read("layer.json", CARD_LIMIT).ok()??;
    serde_json::from_slice(&content).ok()
}

/// Throws away what has no row.
fn orphan(store: &Inner, dir: &Dir, name: &OsStr, recovery: &mut Recovery) -> Result<()> {
    recovery.removed_bytes += measure(dir, name)?.bytes;
    let path = dir.join(name);
    let path = path.strip_prefix(store.dirs.root.path()).unwrap_or(&path);
    recovery.removed.push(path.display().to_string());
    store.trash.take(dir, name)
}

/// Puts away what is damaged, if there is anything of it.
fn quarantine(store: &Inner, dir: &Dir, name: impl AsRef<OsStr>) -> Result<()> {
    if dir.stat(&name)?.is_none() {
        return Ok(());
    }
    let new = format!("{}-{}", store.number(), name.as_ref().display());
    dir.rename(name, &store.dirs.quarantine, new)
}

/// Deletes the rows with these keys.
fn forget(writer: &mut Connection, sql: &str, keys: &[String]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let transaction = db::begin(writer)?;
    for key in keys {
        transaction.prepare_cached(sql)?.execute([key])?;
    }
    db::commit(transaction)
}
