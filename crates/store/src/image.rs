//! Images and the manifests that name them.

use std::collections::BTreeMap;

use longshore_types::{DiffId, Digest, ImageId, Platform};
use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::{
    commit::Prepared,
    db,
    error::{Error, Result},
    root::Store,
};

/// An image to be stored. Its configuration is the blob that `id` names.
#[derive(Clone, Debug)]
pub struct NewImage {
    pub id: ImageId,
    /// Lowest first.
    pub layers: Vec<DiffId>,
    pub platform: Platform,
    /// When it was built, as the configuration says: seconds since 1970.
    pub created: Option<i64>,
    pub labels: BTreeMap<String, String>,
    /// The image that it was committed or built on, where that is known.
    pub parent: Option<ImageId>,
}

/// An image that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub id: ImageId,
    /// Lowest first.
    pub layers: Vec<DiffId>,
    pub platform: Platform,
    pub created: Option<i64>,
    /// When it came here: seconds since 1970.
    pub stored: i64,
    pub labels: BTreeMap<String, String>,
    pub parent: Option<ImageId>,
    pub state: State,
}

/// Whether everything that an image needs is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Complete,
    /// Something was damaged and taken out of use: a pull brings it back.
    Damaged {
        layers: Vec<DiffId>,
        config: bool,
    },
}

/// What kind of document names images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestKind {
    Manifest,
    Index,
}

impl ManifestKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Index => "index",
        }
    }
}

/// A manifest or an index to be stored. Its bytes are the blob that `digest` names.
#[derive(Clone, Debug)]
pub struct NewManifest {
    pub digest: Digest,
    pub kind: ManifestKind,
    pub media_type: String,
    pub size: u64,
    /// Of a manifest: the image that it is a form of.
    pub image: Option<ImageId>,
    /// What it names, in its order: configuration and layers, or manifests. They may be absent.
    pub parts: Vec<(Digest, u64)>,
}

/// A manifest or an index that is here.
pub type Manifest = NewManifest;

impl Store {
    /// Stores an image whose layers and configuration are here. See [`Store::commit_all`].
    pub fn put_image(&self, image: NewImage) -> Result<()> {
        self.commit_all(vec![Prepared::Image(image)])
    }

    /// The image with this ID.
    pub fn image(&self, id: &ImageId) -> Result<Option<Image>> {
        self.0.db.read(|connection| find(connection, id))
    }

    /// All images, in the order in which they came.
    pub fn images(&self) -> Result<Vec<Image>> {
        self.0.db.read(|connection| {
            let ids = db::digests(connection, "SELECT id FROM images ORDER BY stored, id", [])?;
            ids.into_iter().filter_map(|id| find(connection, &ImageId(id)).transpose()).collect()
        })
    }

    /// Images that say that they were made from this one.
    pub fn children(&self, id: &ImageId) -> Result<Vec<ImageId>> {
        self.0.db.read(|connection| {
            let found = db::digests(connection, "SELECT id FROM images WHERE parent = ?1", [id.0.as_str()])?;
            Ok(found.into_iter().map(ImageId).collect())
        })
    }

    /// Images that have the layer, or stand on it.
    pub fn images_with_layer(&self, diff_id: &DiffId) -> Result<Vec<ImageId>> {
        self.0.db.read(|connection| {
            let sql = "SELECT DISTINCT image FROM image_layers WHERE diff_id = ?1 ORDER BY image";
            let found = db::digests(connection, sql, [diff_id.0.as_str()])?;
            Ok(found.into_iter().map(ImageId).collect())
        })
    }

    /// The manifest or index with this digest.
    pub fn manifest(&self, digest: &Digest) -> Result<Option<Manifest>> {
        self.0.db.read(|connection| find_manifest(connection, digest))
    }

    /// The manifests that an image is known by.
    pub fn manifests_of(&self, id: &ImageId) -> Result<Vec<Manifest>> {
        self.0.db.read(|connection| {
            let sql = "SELECT digest FROM manifests WHERE image = ?1 ORDER BY digest";
            let found = db::digests(connection, sql, [id.0.as_str()])?;
            found.iter().filter_map(|digest| find_manifest(connection, digest).transpose()).collect()
        })
    }

    /// The indexes that name this manifest.
    pub fn indexes_of(&self, manifest: &Digest) -> Result<Vec<Manifest>> {
        self.0.db.read(|connection| {
            let sql = "SELECT manifests.digest FROM manifests JOIN manifest_parts AS parts \
                       ON parts.manifest = manifests.digest \
                       WHERE parts.digest = ?1 AND manifests.kind = 'index' ORDER BY 1";
            let found = db::digests(connection, sql, [manifest.as_str()])?;
            found.iter().filter_map(|digest| find_manifest(connection, digest).transpose()).collect()
        })
    }
}

/// The image with this ID.
pub(crate) fn find(connection: &Connection, id: &ImageId) -> Result<Option<Image>> {
    let key = id.0.as_str();
    let mut statement = connection.prepare_cached(
        "SELECT os, architecture, variant, created, stored, labels, parent, \
         EXISTS (SELECT 1 FROM blobs WHERE digest = images.id) FROM images WHERE id = ?1",
    )?;
    let mut rows = statement.query([key])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let parent: Option<String> = row.get(6)?;
    let has_config: bool = row.get(7)?;
    let layers = db::digests(
        connection,
        "SELECT diff_id FROM image_layers WHERE image = ?1 ORDER BY position",
        [key],
    )?;
    let sql = "SELECT DISTINCT diff_id FROM image_layers WHERE image = ?1 \
               AND diff_id NOT IN (SELECT diff_id FROM layers)";
    let missing: Vec<_> = db::digests(connection, sql, [key])?.into_iter().map(DiffId).collect();
    let state = if has_config && missing.is_empty() {
        State::Complete
    } else {
        State::Damaged { layers: missing, config: !has_config }
    };
    Ok(Some(Image {
        id: id.clone(),
        layers: layers.into_iter().map(DiffId).collect(),
        platform: Platform {
            os: row.get(0)?,
            architecture: row.get(1)?,
            variant: row.get(2)?,
            ..Platform::default()
        },
        created: row.get(3)?,
        stored: row.get(4)?,
        labels: serde_json::from_str(&row.get::<_, String>(5)?).unwrap_or_default(),
        parent: parent.map(db::image_id).transpose()?,
        state,
    }))
}

pub(crate) fn find_manifest(connection: &Connection, digest: &Digest) -> Result<Option<Manifest>> {
    let sql = "SELECT kind, media_type, size, image FROM manifests WHERE digest = ?1";
    let found = connection
        .prepare_cached(sql)?
        .query_row([digest.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?))
        })
        .optional()?;
    let Some((kind, media_type, size, image)) = found else { return Ok(None) };
    let mut statement = connection
        .prepare_cached("SELECT digest, size FROM manifest_parts WHERE manifest = ?1 ORDER BY position")?;
    let parts = statement.query_map([digest.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let parts: Result<Vec<_>> = parts
        .map(|part| {
            let (digest, size) = part?;
            Ok((db::digest(digest)?, db::size(size)))
        })
        .collect();
    Ok(Some(Manifest {
        digest: digest.clone(),
        kind: if kind == "index" { ManifestKind::Index } else { ManifestKind::Manifest },
        media_type,
        size: db::size(size),
        image: image.map(db::image_id).transpose()?,
        parts: parts?,
    }))
}

/// Writes the rows of an image, if everything that it needs is there.
pub(crate) fn insert(transaction: &Transaction<'_>, image: &NewImage) -> Result<()> {
    let key = image.id.0.as_str();
    let incomplete = |missing: String| Error::Incomplete { image: image.id.clone(), missing };
    if !has(transaction, "SELECT 1 FROM blobs WHERE digest = ?1", key)? {
        return Err(incomplete("configuration".to_owned()));
    }
    let labels = serde_json::to_string(&image.labels).unwrap_or_default();
    let parent = image.parent.as_ref().map(|parent| parent.0.as_str());
    let count = transaction
        .prepare_cached(
            "INSERT INTO images (id, os, architecture, variant, created, stored, labels, parent) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?
        .execute((
            key,
            &image.platform.os,
            &image.platform.architecture,
            &image.platform.variant,
            image.created,
            db::now(),
            labels,
            parent,
        ))?;
    for (position, diff_id) in image.layers.iter().enumerate() {
        let diff_id = diff_id.0.as_str();
        if !has(transaction, "SELECT 1 FROM layers WHERE diff_id = ?1", diff_id)? {
            return Err(incomplete(format!("layer {diff_id}")));
        }
        if count > 0 {
            transaction
                .prepare_cached("INSERT INTO image_layers (image, position, diff_id) VALUES (?1, ?2, ?3)")?
                .execute((key, db::to_sql(position as u64), diff_id))?;
        }
    }
    Ok(())
}

/// Writes the rows of a manifest or index. One that was there may learn which image it is of.
pub(crate) fn insert_manifest(transaction: &Transaction<'_>, manifest: &NewManifest) -> Result<()> {
    let key = manifest.digest.as_str();
    if !has(transaction, "SELECT 1 FROM blobs WHERE digest = ?1", key)? {
        let digest = manifest.digest.clone();
        return Err(Error::IncompleteManifest { digest, missing: "own bytes".to_owned() });
    }
    transaction
        .prepare_cached(
            "INSERT INTO manifests (digest, kind, media_type, size, image) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (digest) DO UPDATE SET image = coalesce(excluded.image, image)",
        )?
        .execute((
            key,
            manifest.kind.name(),
            &manifest.media_type,
            db::to_sql(manifest.size),
            manifest.image.as_ref().map(|image| image.0.as_str()),
        ))?;
    for (position, (digest, size)) in manifest.parts.iter().enumerate() {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO manifest_parts (manifest, position, digest, size) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((key, db::to_sql(position as u64), digest.as_str(), db::to_sql(*size)))?;
    }
    Ok(())
}

/// Whether a query finds anything for `key`.
pub(crate) fn has(connection: &Connection, sql: &str, key: &str) -> Result<bool> {
    Ok(connection.prepare_cached(sql)?.exists([key])?)
}
