//! What is found when the store opens: the other half of the crash protocol.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;

use longshore_types::{Algorithm, DiffId, Digest, Reference};
use rusqlite::Connection;

use crate::{
    blob,
    check::quarantine,
    db,
    dir::{Dir, number},
    error::Result,
    index,
    layer::{self, Card, LayerFacts, read_card},
    measure::measure,
    rebuild,
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
    /// Whether the database was gone or unreadable, and was made again from what is on disk.
    pub rebuilt: bool,
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
pub(crate) fn run(store: &Inner, lost: Option<&str>) -> Result<Recovery> {
    let mut recovery = Recovery { trash: store.trash.resume()?, ..Recovery::default() };
    if let Some(why) = lost {
        recovery.rebuilt = true;
        recovery.damaged.push(why.to_owned());
        rebuild::run(store, &mut recovery)?;
    }
    let dirs = &store.dirs;
    let layout = &dirs.layout;
    if layout.read("oci-layout", 1 << 10)?.is_none_or(|found| found != LAYOUT) {
        layout.replace("oci-layout", LAYOUT)?;
    }
    for (dir, name) in [(layout, "oci-layout.new"), (layout, "index.json.new")] {
        dir.unlink(name)?;
    }
    let mut writer = store.db.writer();
    scrub(&mut writer, &mut recovery)?;
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
                if !layer_is_whole(writer, &dir.child(&name)?, &diff_id, recovery)? {
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

/// Whether a layer is what its row says. Row and card each heal the other's small damage.
fn layer_is_whole(writer: &Connection, dir: &Dir, diff_id: &str, recovery: &mut Recovery) -> Result<bool> {
    let Ok(key) = diff_id.parse().map(DiffId) else { return Ok(false) };
    let Some(row) = layer::find(writer, &key)? else { return Ok(false) };
    if dir.child("fs").is_err() {
        return Ok(false);
    }
    let path = format!("layers/{}/layer.json", row.id);
    let Some(card) = read_card(dir) else {
        let card = Card { diff_id: key, facts: row.facts, created: db::now(), snapshot: None };
        dir.replace("layer.json", &layer::write_card(&card))?;
        recovery.damaged.push(format!("{path}: written again"));
        return Ok(true);
    };
    if card.diff_id != key {
        return Ok(false);
    }
    let numbers = |facts: &LayerFacts| (facts.bytes, facts.inodes, facts.tar_bytes);
    if numbers(&card.facts) != numbers(&row.facts) {
        let sql = "UPDATE layers SET bytes = ?2, inodes = ?3, tar_bytes = ?4 WHERE diff_id = ?1";
        let (bytes, inodes, tar_bytes) = numbers(&card.facts);
        let sizes = (diff_id, db::to_sql(bytes), db::to_sql(inodes), db::to_sql(tar_bytes));
        writer.prepare_cached(sql)?.execute(sizes)?;
        recovery.damaged.push(format!("sizes of layer {diff_id}: taken from {path}"));
    }
    Ok(true)
}

/// Digests and names of the database that are none: their rows say nothing any more.
fn scrub(writer: &mut Connection, recovery: &mut Recovery) -> Result<()> {
    let columns = [
        ("blobs", "digest"),
        ("layers", "diff_id"),
        ("layer_forms", "diff_id"),
        ("layer_forms", "digest"),
        ("images", "id"),
        ("images", "parent"),
        ("image_layers", "image"),
        ("image_layers", "diff_id"),
        ("manifests", "digest"),
        ("manifests", "image"),
        ("manifest_parts", "manifest"),
        ("manifest_parts", "digest"),
        ("tags", "digest"),
        ("repo_digests", "digest"),
        ("snapshot_layers", "diff_id"),
        ("lease_items", "key"),
    ];
    let is_digest = |text: &str| text.parse::<Digest>().is_ok();
    for (table, column) in columns {
        scrub_column(writer, table, column, is_digest, recovery)?;
    }
    let is_name = |text: &str| Reference::parse(text).is_ok_and(|name| name.to_string() == text);
    scrub_column(writer, "tags", "name", is_name, recovery)?;
    let is_repository = |text: &str| Reference::parse(text).is_ok_and(|name| name.repository() == text);
    scrub_column(writer, "repo_digests", "repository", is_repository, recovery)
}

fn scrub_column(
    writer: &mut Connection,
    table: &str,
    column: &str,
    is_valid: impl Fn(&str) -> bool,
    recovery: &mut Recovery,
) -> Result<()> {
    let mut bad = Vec::new();
    {
        let sql = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL");
        let mut statement = writer.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            // Text that is no UTF-8 is damage too.
            let bytes = row.get_ref(0)?.as_bytes().unwrap_or_default().to_vec();
            if !std::str::from_utf8(&bytes).is_ok_and(&is_valid) {
                bad.push(bytes);
            }
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    let transaction = db::begin(writer)?;
    for bytes in &bad {
        let sql = format!("DELETE FROM {table} WHERE CAST({column} AS BLOB) = ?1");
        transaction.prepare_cached(&sql)?.execute([bytes])?;
    }
    db::commit(transaction)?;
    let shown =
        bad.iter().map(|bytes| format!("store.db: {table}.{column} {:?}", String::from_utf8_lossy(bytes)));
    recovery.damaged.extend(shown);
    Ok(())
}

/// Returns what [`crate::Snapshot::commit`] had taken from a snapshot that is still one.
fn give_back(store: &Inner, writer: &Connection, layer: &Dir, recovery: &mut Recovery) -> Result<()> {
    let Some(id) = read_card(layer).and_then(|card| card.snapshot) else { return Ok(()) };
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

/// Throws away what has no row.
fn orphan(store: &Inner, dir: &Dir, name: &OsStr, recovery: &mut Recovery) -> Result<()> {
    recovery.removed_bytes += measure(dir, name)?.bytes;
    let path = dir.join(name);
    let path = path.strip_prefix(store.dirs.root.path()).unwrap_or(&path);
    recovery.removed.push(path.display().to_string());
    store.trash.take(dir, name)
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
