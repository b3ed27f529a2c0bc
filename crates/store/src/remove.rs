//! Removing images, and collecting what nothing refers to any more.
//!
//! Rows first, in one transaction; then everything is renamed to the trash, still under the lock; the bytes are freed
//! behind the caller's back ([`Store::wait_for_trash`] waits for that).

use std::time::{Duration, SystemTime};

use longshore_types::{DiffId, Digest, ImageId};
use rusqlite::{Connection, Transaction};

use crate::{
    blob, db,
    error::{Error, Result},
    image, index,
    root::{Inner, Store},
};

/// What a removal or a collection took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub layers: Vec<DiffId>,
    pub blobs: Vec<Digest>,
    /// Content of those layers and blobs: bytes that are freed once the trash is empty.
    pub freed: u64,
    /// Who still needs layers of what was removed, and how many bytes.
    pub kept: Vec<Kept>,
}

/// Why bytes were not freed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The owner of a snapshot or lease, or `image <id>`.
    pub owner: String,
    pub bytes: u64,
}

const USED_LAYER: &str = "EXISTS (SELECT 1 FROM main.image_layers AS u WHERE u.diff_id = l.diff_id) \
     OR EXISTS (SELECT 1 FROM main.snapshot_layers AS u WHERE u.diff_id = l.diff_id) \
     OR EXISTS (SELECT 1 FROM main.lease_items AS u WHERE u.kind = 'layer' AND u.key = l.diff_id) \
     OR EXISTS (SELECT 1 FROM temp.held AS u WHERE u.kind = 'layer' AND u.key = l.diff_id)";

const USED_BLOB: &str = "EXISTS (SELECT 1 FROM main.images AS u WHERE u.id = b.digest) \
     OR EXISTS (SELECT 1 FROM main.manifests AS u WHERE u.digest = b.digest) \
     OR EXISTS (SELECT 1 FROM main.manifest_parts AS u WHERE u.digest = b.digest) \
     OR EXISTS (SELECT 1 FROM main.layer_forms AS u WHERE u.digest = b.digest) \
     OR EXISTS (SELECT 1 FROM main.lease_items AS u WHERE u.kind = 'blob' AND u.key = b.digest) \
     OR EXISTS (SELECT 1 FROM temp.held AS u WHERE u.kind = 'blob' AND u.key = b.digest)";

impl Store {
    /// Removes an image with its tags and manifests, and what only it needed.
    ///
    /// Without `force`, fails with [`Error::ImageInUse`] while a lease is on it. With it, the image is gone and what
    /// its users need is kept; the answer says for whom. Tags of an index stay while another of its images is here.
    pub fn remove_image(&self, id: &ImageId, force: bool) -> Result<Removed> {
        self.0.removing(|| {
            let mut writer = self.0.db.writer();
            let transaction = db::begin(&mut writer)?;
            let mut removed = Removed::default();
            let Some(image) = image::find(&transaction, id)? else {
                return Err(Error::NoSuchImage { name: id.to_string() });
            };
            let by = users(&transaction, id)?;
            if !force && !by.is_empty() {
                return Err(Error::ImageInUse { image: id.clone(), by });
            }
            let candidates = forget_image(&transaction, id)?;
            let dirs = sweep(&transaction, Some((&image.layers, candidates)), &mut removed)?;
            removed.kept = kept(&transaction, &image.layers)?;
            db::commit(transaction)?;
            self.0.discard(&dirs, &removed)?;
            index::refresh(&self.0, &writer);
            Ok(removed)
        })
    }

    /// Who has a lease on an image.
    pub fn users_of_image(&self, id: &ImageId) -> Result<Vec<String>> {
        users(&self.0.db.writer(), id)
    }

    /// Takes away every blob and layer that no image, snapshot or lease refers to. May run at any time.
    pub fn collect(&self) -> Result<Removed> {
        self.0.removing(|| {
            let mut writer = self.0.db.writer();
            let transaction = db::begin(&mut writer)?;
            let mut removed = Removed::default();
            forget_loose_manifests(&transaction)?;
            let dirs = sweep(&transaction, None, &mut removed)?;
            db::commit(transaction)?;
            self.0.discard(&dirs, &removed)?;
            index::refresh(&self.0, &writer);
            Ok(removed)
        })
    }

    /// Deletes partial downloads that nobody has written to for `idle`; says how many bytes.
    pub fn remove_partials(&self, idle: Duration) -> Result<u64> {
        let mut freed = 0;
        for (name, _) in self.0.dirs.ingest.entries()? {
            let Some((digest, _)) = name.to_str().and_then(blob::partial_of) else { continue };
            // Nobody may begin to write it now.
            if !self.0.staged().blobs.insert(digest.clone()) {
                continue;
            }
            let done = self.0.remove_idle(&name, idle);
            self.0.staged().blobs.remove(&digest);
            freed += done?;
        }
        Ok(freed)
    }

    /// Drops the compressed form of a layer, if it can be had again from its recipe, or `even_without` one.
    ///
    /// A form that a lease holds stays. Says how many bytes are freed.
    pub fn drop_compressed(&self, diff_id: &DiffId, even_without: bool) -> Result<u64> {
        self.0.removing(|| {
            let mut writer = self.0.db.writer();
            let transaction = db::begin(&mut writer)?;
            let key = diff_id.0.as_str();
            let recipe = "SELECT 1 FROM layer_forms AS f JOIN blobs USING (digest) \
                          WHERE f.diff_id = ?1 AND f.kind = 'recipe'";
            if !even_without && !image::has(&transaction, recipe, key)? {
                return Ok(0);
            }
            let sql = "SELECT b.digest FROM blobs AS b JOIN layer_forms AS f USING (digest) \
                       WHERE f.diff_id = ?1 AND f.kind = 'compressed' \
                       AND NOT EXISTS (SELECT 1 FROM temp.lease_uses AS u \
                                       WHERE u.kind = 'blob' AND u.key = b.digest)";
            let mut removed = Removed { blobs: db::digests(&transaction, sql, [key])?, ..Removed::default() };
            for digest in &removed.blobs {
                removed.freed += delete_blob(&transaction, digest)?;
            }
            db::commit(transaction)?;
            self.0.discard(&[], &removed)?;
            Ok(removed.freed)
        })
    }
}

impl Inner {
    /// Takes the files of what has no rows any more. The rows are gone: a failure is made good at the next open.
    fn discard(&self, layers: &[u64], removed: &Removed) -> Result<()> {
        let mut first = Ok(());
        for id in layers {
            first = first.and(self.trash.take(&self.dirs.layers, id.to_string()));
        }
        for digest in &removed.blobs {
            first = first.and(self.trash.take(self.dirs.blobs(digest.algorithm()), digest.hex()));
        }
        first
    }

    fn remove_idle(&self, name: &std::ffi::OsStr, idle: Duration) -> Result<u64> {
        let Some(stat) = self.dirs.ingest.stat(name)? else { return Ok(0) };
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(db::size(stat.st_mtime));
        if modified.elapsed().unwrap_or_default() < idle {
            return Ok(0);
        }
        self.dirs.ingest.unlink(name)?;
        Ok(db::size(stat.st_size))
    }
}

fn users(connection: &Connection, id: &ImageId) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT owner FROM temp.lease_uses WHERE kind = 'image' AND key = ?1 ORDER BY 1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([id.0.as_str()], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deletes the rows of an image and of what names it alone. Answers the blobs that may be free now.
fn forget_image(transaction: &Transaction<'_>, id: &ImageId) -> Result<Vec<Digest>> {
    let key = id.0.as_str();
    let manifests = db::digests(transaction, "SELECT digest FROM manifests WHERE image = ?1", [key])?;
    let sql = "SELECT DISTINCT i.digest FROM manifests AS i \
               JOIN manifest_parts AS p ON p.manifest = i.digest JOIN manifests AS m ON m.digest = p.digest \
               WHERE i.kind = 'index' AND m.image = ?1";
    let indexes = db::digests(transaction, sql, [key])?;
    transaction.prepare_cached("DELETE FROM images WHERE id = ?1")?.execute([key])?;
    transaction.prepare_cached("DELETE FROM image_layers WHERE image = ?1")?.execute([key])?;
    let mut candidates = vec![id.0.clone()];
    transaction.prepare_cached("DELETE FROM tags WHERE digest = ?1")?.execute([key])?;
    for manifest in manifests {
        candidates.extend(forget_manifest(transaction, &manifest)?);
    }
    for index in indexes {
        let sql = "SELECT 1 FROM manifest_parts AS p JOIN manifests AS m ON m.digest = p.digest \
                   JOIN images ON images.id = m.image WHERE p.manifest = ?1";
        if image::has(transaction, sql, index.as_str())? {
            continue;
        }
        let children = "SELECT m.digest FROM manifests AS m JOIN manifest_parts AS p ON p.digest = m.digest \
                        WHERE p.manifest = ?1 AND NOT EXISTS (SELECT 1 FROM manifest_parts AS o \
                        WHERE o.digest = m.digest AND o.manifest != ?1)";
        let children = db::digests(transaction, children, [index.as_str()])?;
        candidates.extend(forget_manifest(transaction, &index)?);
        for child in children {
            candidates.extend(forget_manifest(transaction, &child)?);
        }
    }
    Ok(candidates)
}

/// Deletes the rows of a manifest or index; answers the blobs that it named, with its own.
fn forget_manifest(transaction: &Transaction<'_>, digest: &Digest) -> Result<Vec<Digest>> {
    let key = digest.as_str();
    let mut parts = db::digests(transaction, "SELECT digest FROM manifest_parts WHERE manifest = ?1", [key])?;
    for sql in [
        "DELETE FROM manifest_parts WHERE manifest = ?1",
        "DELETE FROM manifests WHERE digest = ?1",
        "DELETE FROM tags WHERE digest = ?1",
        "DELETE FROM repo_digests WHERE digest = ?1",
    ] {
        transaction.prepare_cached(sql)?.execute([key])?;
    }
    parts.push(digest.clone());
    Ok(parts)
}

/// Manifests that name no image, and that no tag, index or lease names.
fn forget_loose_manifests(transaction: &Transaction<'_>) -> Result<()> {
    // Twice: an index that goes frees the manifests in it.
    for _ in 0..2 {
        let sql = "SELECT digest FROM manifests AS m \
             WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.id = m.image) \
             AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.digest = m.digest) \
             AND NOT EXISTS (SELECT 1 FROM repo_digests AS r WHERE r.digest = m.digest) \
             AND NOT EXISTS (SELECT 1 FROM temp.lease_uses AS u WHERE u.kind = 'blob' AND u.key = m.digest) \
             AND NOT EXISTS (SELECT 1 FROM manifest_parts AS p WHERE p.digest = m.digest) \
             AND NOT EXISTS (SELECT 1 FROM manifest_parts AS p JOIN manifests AS c ON c.digest = p.digest \
                             JOIN images ON images.id = c.image WHERE p.manifest = m.digest)";
        for digest in db::digests(transaction, sql, [])? {
            forget_manifest(transaction, &digest)?;
        }
    }
    Ok(())
}

/// Deletes the rows of layers and blobs that nothing uses, among these or (`None`) all. Answers the layers' numbers.
fn sweep(
    transaction: &Transaction<'_>,
    among: Option<(&[DiffId], Vec<Digest>)>,
    removed: &mut Removed,
) -> Result<Vec<u64>> {
    let (layers, mut blobs) = match among {
        Some((layers, blobs)) => (layers.iter().map(|layer| layer.0.clone()).collect(), blobs),
        None => {
            let layers = format!("SELECT l.diff_id FROM layers AS l WHERE NOT ({USED_LAYER})");
            // Forms of layers that are gone keep nothing.
            transaction
                .execute("DELETE FROM layer_forms WHERE diff_id NOT IN (SELECT diff_id FROM layers)", [])?;
            (db::digests(transaction, &layers, [])?, Vec::new())
        }
    };
    let every_blob = blobs.is_empty();
    let mut dirs = Vec::new();
    let is_free =
        format!("SELECT l.id, l.bytes FROM layers AS l WHERE l.diff_id = ?1 AND NOT ({USED_LAYER})");
    for diff_id in layers {
        let key = diff_id.as_str();
        let mut statement = transaction.prepare_cached(&is_free)?;
        let mut rows = statement.query([key])?;
        let Some(row) = rows.next()? else { continue };
        dirs.push(db::size(row.get(0)?));
        removed.freed += db::size(row.get(1)?);
        blobs.extend(db::digests(transaction, "SELECT digest FROM layer_forms WHERE diff_id = ?1", [key])?);
        transaction.prepare_cached("DELETE FROM layer_forms WHERE diff_id = ?1")?.execute([key])?;
        transaction.prepare_cached("DELETE FROM layers WHERE diff_id = ?1")?.execute([key])?;
        removed.layers.push(DiffId(diff_id));
    }
    if every_blob {
        let free = format!("SELECT b.digest FROM blobs AS b WHERE NOT ({USED_BLOB})");
        blobs = db::digests(transaction, &free, [])?;
    }
    let is_used = format!("SELECT 1 FROM blobs AS b WHERE b.digest = ?1 AND NOT ({USED_BLOB})");
    for digest in blobs {
        if image::has(transaction, &is_used, digest.as_str())? {
            removed.freed += delete_blob(transaction, &digest)?;
            removed.blobs.push(digest);
        }
    }
    Ok(dirs)
}

/// Deletes the row of a blob; answers its size.
fn delete_blob(transaction: &Transaction<'_>, digest: &Digest) -> Result<u64> {
    let sql = "DELETE FROM blobs WHERE digest = ?1 RETURNING size";
    let size = transaction.prepare_cached(sql)?.query_row([digest.as_str()], |row| row.get(0))?;
    Ok(db::size(size))
}

/// Who still uses which bytes of these layers.
fn kept(transaction: &Transaction<'_>, layers: &[DiffId]) -> Result<Vec<Kept>> {
    let mut found: Vec<Kept> = Vec::new();
    let sql = "SELECT DISTINCT 'image ' || image, layers.bytes FROM image_layers JOIN layers USING (diff_id) \
               WHERE diff_id = ?1 \
               UNION SELECT DISTINCT owner, layers.bytes FROM snapshots JOIN snapshot_layers AS s \
               ON s.snapshot = snapshots.id JOIN layers USING (diff_id) WHERE diff_id = ?1 \
               UNION SELECT DISTINCT owner, layers.bytes FROM temp.lease_uses AS u JOIN layers \
               ON layers.diff_id = u.key WHERE u.kind = 'layer' AND u.key = ?1";
    let mut distinct: Vec<_> = layers.iter().collect();
    distinct.sort();
    distinct.dedup();
    for diff_id in distinct {
        let mut statement = transaction.prepare_cached(sql)?;
        let mut rows = statement.query([diff_id.0.as_str()])?;
        while let Some(row) = rows.next()? {
            let (owner, bytes): (String, _) = (row.get(0)?, db::size(row.get(1)?));
            match found.iter_mut().find(|kept| kept.owner == owner) {
                Some(kept) => kept.bytes += bytes,
                None => found.push(Kept { owner, bytes }),
            }
        }
    }
    Ok(found)
}
