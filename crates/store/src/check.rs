//! Looking for damage: what the disk lost or changed after it was written.
//!
//! What is damaged is taken out of use: its row goes, its file is renamed into `quarantine/`. The images that need
//! it say so ([`crate::State::Damaged`]) and a pull heals them, because it finds the blob or layer missing.

use std::io;

use longshore_types::{DiffId, Digest, Hasher};

use crate::{
    blob, db,
    dir::Dir,
    error::{At, Result},
    image,
    layer::{self, read_card},
    measure::measure,
    root::{Inner, Store},
};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub blobs: usize,
    pub layers: usize,
    /// Bytes that were read or counted.
    pub bytes: u64,
    /// What was damaged and is out of use now.
    pub damaged: Vec<String>,
}

impl Store {
    /// Hashes every blob again and counts every layer. Reads everything; may run at any time.
    pub fn check(&self) -> Result<Report> {
        let mut report = Report::default();
        let blobs = self
            .0
            .db
            .read(|connection| db::digests(connection, "SELECT digest FROM blobs ORDER BY 1", []))?;
        for digest in blobs {
            self.check_blob(&digest, &mut report)?;
        }
        for layer in self.layers()? {
            self.check_layer(&layer, &mut report)?;
        }
        Ok(report)
    }

    /// Deletes what was put away as damaged, and says how many bytes that was.
    pub fn empty_quarantine(&self) -> Result<u64> {
        let dir = &self.0.dirs.quarantine;
        let mut bytes = 0;
        for (name, _) in dir.entries()? {
            bytes += measure(dir, &name)?.bytes;
            self.0.trash.take(dir, &name)?;
        }
        Ok(bytes)
    }

    fn check_blob(&self, digest: &Digest, report: &mut Report) -> Result<()> {
        let dir = self.0.dirs.blobs(digest.algorithm());
        let whole = match dir.open(digest.hex())? {
            None => false,
            Some(mut file) => {
                let mut hasher = Hasher::new(digest.algorithm());
                match blob::hash(&mut file, &mut hasher) {
                    Ok(bytes) => {
                        report.bytes += bytes;
                        hasher.finish() == *digest
                    }
                    // The disk cannot give it back: as good as another content.
                    Err(error) if error.raw_os_error() == Some(5) => false,
                    Err(error) => return Err::<(), io::Error>(error).at("read", dir.join(digest.hex())),
                }
            }
        };
        report.blobs += 1;
        if whole {
            return Ok(());
        }
        let mut writer = self.0.db.writer();
        // Removed since it was opened: nothing is wrong.
        if !image::has(&writer, "SELECT 1 FROM blobs WHERE digest = ?1", digest.as_str())? {
            return Ok(());
        }
        let transaction = db::begin(&mut writer)?;
        transaction.prepare_cached("DELETE FROM blobs WHERE digest = ?1")?.execute([digest.as_str()])?;
        db::commit(transaction)?;
        report.damaged.push(digest.to_string());
        quarantine(&self.0, dir, digest.hex())
    }

    fn check_layer(&self, layer: &layer::Layer, report: &mut Report) -> Result<()> {
        let layers = &self.0.dirs.layers;
        let name = layer.id.to_string();
        let found = layers.child(&name).and_then(|dir| Ok((read_card(&dir), measure(&dir, "fs")?)));
        let whole = found.is_ok_and(|(card, usage)| {
            report.bytes += usage.bytes;
            usage.bytes == layer.facts.bytes && card.is_some_and(|card| card.diff_id == layer.diff_id)
        });
        report.layers += 1;
        if whole {
            return Ok(());
        }
        let mut writer = self.0.db.writer();
        if layer::find(&writer, &layer.diff_id)?.is_none_or(|now| now.id != layer.id) {
            return Ok(());
        }
        let transaction = db::begin(&mut writer)?;
        delete_layer(&transaction, &layer.diff_id)?;
        db::commit(transaction)?;
        report.damaged.push(format!("layer {}", layer.diff_id));
        quarantine(&self.0, layers, &name)
    }
}

fn delete_layer(connection: &rusqlite::Connection, diff_id: &DiffId) -> Result<()> {
    connection.prepare_cached("DELETE FROM layers WHERE diff_id = ?1")?.execute([diff_id.0.as_str()])?;
    Ok(())
}

/// Puts away what is damaged, if there is anything of it.
pub(crate) fn quarantine(store: &Inner, dir: &Dir, name: impl AsRef<std::ffi::OsStr>) -> Result<()> {
    if dir.stat(&name)?.is_none() {
        return Ok(());
    }
    let new = format!("{}-{}", store.number(), name.as_ref().display());
    dir.rename(name, &store.dirs.quarantine, new)
}
