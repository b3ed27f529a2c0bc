//! What images take, from the database alone.

use longshore_types::ImageId;
use rusqlite::Connection;

use crate::{
    db,
    error::{Error, Result},
    image,
    root::Store,
};

/// Bytes of an image. A layer that it has twice counts once, as it is on disk once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Content of the layers: what Docker shows as the size.
    pub total: u64,
    /// Of that, in layers that other images have too.
    pub shared: u64,
    /// Of that, in layers that no other image has.
    pub unique: u64,
    /// Blobs that hold the layers compressed, as far as they are here.
    pub compressed: u64,
    /// Recipes that rebuild the layers' tars, as far as they are here.
    pub recipes: u64,
}

impl Store {
    /// What the image takes.
    pub fn image_size(&self, id: &ImageId) -> Result<Sizes> {
        self.0.db.read(|connection| {
            if !image::has(connection, "SELECT 1 FROM images WHERE id = ?1", id.0.as_str())? {
                return Err(Error::NoSuchImage { name: id.to_string() });
            }
            sizes(connection, id)
        })
    }
}

fn sizes(connection: &Connection, id: &ImageId) -> Result<Sizes> {
    let key = id.0.as_str();
    let layers = "SELECT l.bytes, EXISTS (SELECT 1 FROM image_layers AS o \
                  WHERE o.diff_id = l.diff_id AND o.image != ?1) FROM layers AS l \
                  WHERE l.diff_id IN (SELECT diff_id FROM image_layers WHERE image = ?1)";
    let mut sizes = Sizes::default();
    let mut statement = connection.prepare_cached(layers)?;
    let mut rows = statement.query([key])?;
    while let Some(row) = rows.next()? {
        let bytes = db::size(row.get(0)?);
        sizes.total += bytes;
        if row.get(1)? { sizes.shared += bytes } else { sizes.unique += bytes }
    }
    let forms = "SELECT kind, sum(size) FROM (SELECT DISTINCT f.kind, f.digest, b.size FROM layer_forms AS f \
                 JOIN blobs AS b USING (digest) \
                 WHERE f.diff_id IN (SELECT diff_id FROM image_layers WHERE image = ?1)) GROUP BY kind";
    let mut statement = connection.prepare_cached(forms)?;
    let mut rows = statement.query([key])?;
    while let Some(row) = rows.next()? {
        let bytes = db::size(row.get(1)?);
        match row.get::<_, String>(0)?.as_str() {
            "recipe" => sizes.recipes = bytes,
            _ => sizes.compressed = bytes,
        }
    }
    Ok(sizes)
}
