//! Making things visible: any number of them, with one sync and one transaction.

use longshore_types::{Digest, Reference};
use rusqlite::Transaction;

use crate::{
    blob::PreparedBlob,
    db,
    error::{At, Result},
    failpoint, image,
    image::{NewImage, NewManifest},
    index,
    layer::{self, PreparedLayer},
    root::{Dirs, Store},
    tag::{self, Target},
};

/// Something to be made visible by [`Store::commit_all`].
#[derive(Debug)]
pub enum Prepared {
    Blob(PreparedBlob),
    Layer(PreparedLayer),
    Manifest(NewManifest),
    Image(NewImage),
    /// The name must have a tag.
    Tag(Reference, Target),
    /// `name@digest`, as it was pulled or pushed. The digest must be of a manifest or index that is here.
    RepoDigest(Reference),
}

/// What is to be committed, in the order that it depends on each other.
#[derive(Debug, Default)]
struct Batch {
    blobs: Vec<PreparedBlob>,
    layers: Vec<PreparedLayer>,
    manifests: Vec<NewManifest>,
    images: Vec<NewImage>,
    tags: Vec<(Reference, Target)>,
    repo_digests: Vec<Reference>,
}

impl Store {
    /// Makes everything in `prepared` visible and durable, or nothing of it. The order does not matter.
    ///
    /// What exists already is left as it is, and the prepared one is dropped. Fails if an image would be visible
    /// without one of its layers or its configuration, or a manifest without its own bytes.
    pub fn commit_all(&self, prepared: Vec<Prepared>) -> Result<()> {
        let mut batch = Batch::of(prepared);
        self.make_durable(&batch)?;
        let dirs = &self.0.dirs;
        let mut writer = self.0.db.writer();
        let mut placed = Placed { dirs, blobs: Vec::new() };
        let transaction = db::begin(&mut writer)?;
        for blob in &batch.blobs {
            if insert_blob(&transaction, blob.digest(), blob.size())? {
                placed.place(blob)?;
            } else {
                dirs.ingest.unlink(blob.name())?;
            }
        }
        placed.sync()?;
        let mut kept = vec![false; batch.layers.len()];
        for (layer, kept) in batch.layers.iter().zip(&mut kept) {
            *kept = layer::find(&transaction, layer.diff_id())?.is_none();
            if *kept {
                layer::insert(&transaction, layer.place.id, &layer.card)?;
            } else {
                let mut forms = layer.card.facts.forms.iter();
                forms.try_for_each(|form| layer::insert_form(&transaction, layer.diff_id(), form))?;
            }
        }
        batch.manifests.iter().try_for_each(|manifest| image::insert_manifest(&transaction, manifest))?;
        batch.images.iter().try_for_each(|image| image::insert(&transaction, image))?;
        batch.repo_digests.iter().try_for_each(|name| tag::insert_repo_digest(&transaction, name))?;
        batch.tags.iter().try_for_each(|(name, target)| tag::insert(&transaction, name, target))?;
        db::commit(transaction)?;
        placed.blobs.clear();
        for (layer, kept) in batch.layers.iter_mut().zip(kept) {
            layer.place.kept = kept;
        }
        if batch.changes_index() {
            index::refresh(&self.0, &writer);
        }
        Ok(())
    }

    /// Puts the content of blobs and layers on disk, at the names that they have now.
    fn make_durable(&self, batch: &Batch) -> Result<()> {
        let dirs = &self.0.dirs;
        if !batch.layers.is_empty() {
            failpoint::step("commit.syncfs").at("sync", self.root())?;
            return rustix::fs::syncfs(&dirs.root).at("sync", self.root());
        }
        for blob in &batch.blobs {
            failpoint::step("commit.fsync").at("sync", dirs.ingest.join(blob.name()))?;
            blob.file.sync_all().at("sync", dirs.ingest.join(blob.name()))?;
        }
        Ok(())
    }
}

impl Batch {
    fn of(prepared: Vec<Prepared>) -> Self {
        let mut batch = Self::default();
        for one in prepared {
            match one {
                Prepared::Blob(blob) => batch.blobs.push(blob),
                Prepared::Layer(layer) => batch.layers.push(layer),
                Prepared::Manifest(manifest) => batch.manifests.push(manifest),
                Prepared::Image(image) => batch.images.push(image),
                Prepared::Tag(name, target) => batch.tags.push((name, target)),
                Prepared::RepoDigest(name) => batch.repo_digests.push(name),
            }
        }
        batch
    }

    fn changes_index(&self) -> bool {
        !(self.manifests.is_empty() && self.tags.is_empty() && self.repo_digests.is_empty())
    }
}

/// Writes the row of a blob; says whether there was none.
pub(crate) fn insert_blob(transaction: &Transaction<'_>, digest: &Digest, size: u64) -> Result<bool> {
    let sql = "INSERT OR IGNORE INTO blobs (digest, size, created) VALUES (?1, ?2, ?3)";
    let count = transaction.prepare_cached(sql)?.execute((digest.as_str(), db::to_sql(size), db::now()))?;
    Ok(count > 0)
}

/// Blobs renamed to their place before their rows are committed. Renamed back when dropped.
struct Placed<'a> {
    dirs: &'a Dirs,
    /// Digest, and the name below `ingest/`.
    blobs: Vec<(Digest, String)>,
}

impl Placed<'_> {
    fn place(&mut self, blob: &PreparedBlob) -> Result<()> {
        let digest = blob.digest();
        self.dirs.ingest.rename(blob.name(), self.dirs.blobs(digest.algorithm()), digest.hex())?;
        self.blobs.push((digest.clone(), blob.name().to_owned()));
        Ok(())
    }

    /// Makes the names durable.
    fn sync(&self) -> Result<()> {
        for dir in [&self.dirs.sha256, &self.dirs.sha512] {
            if self.blobs.iter().any(|(digest, _)| self.dirs.blobs(digest.algorithm()).path() == dir.path()) {
                dir.sync()?;
            }
        }
        Ok(())
    }
}

impl Drop for Placed<'_> {
    fn drop(&mut self) {
        for (digest, name) in self.blobs.drain(..) {
            // A file that stays without a row is thrown away at the next open.
            self.dirs.blobs(digest.algorithm()).rename(digest.hex(), &self.dirs.ingest, name).ok();
        }
    }
}
