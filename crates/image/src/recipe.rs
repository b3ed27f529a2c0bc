//! Layers that came as a plain tar: kept as a recipe, from which the tar is made again.

use std::{
    io::{self, Read},
    os::fd::AsFd,
};

use longshore_archive::{
    limits::Limits,
    recipe::{Recorder, rebuild},
};
use longshore_store::{Form, FormKind, Ingest, PreparedBlob, PreparedLayer};
use longshore_types::{Algorithm, Hasher};

use crate::{Images, Result, import::Hash};

/// The media type of a recipe.
const MEDIA_TYPE: &str = "application/vnd.longshore.layer.recipe";

/// A recipe, and how the row of its layer names it.
pub(crate) type Recipe = (PreparedBlob, Form);

impl Images {
    /// Makes the recipe of a layer from its tar. Nothing, if the layer is not enough to make the same tar again.
    pub(crate) fn record(&self, tar: impl Read, layer: &PreparedLayer) -> Result<Option<Recipe>> {
        let ingest = self.store().new_blob()?;
        let Some(ingest) = write(tar, ingest, &self.settings().limits) else { return Ok(None) };
        let blob = ingest.prepare()?;
        let mut hash = Hash(Hasher::new(Algorithm::Sha256));
        let again = rebuild(blob.reader()?, layer.open()?.as_fd(), &mut hash);
        if again.is_err() || hash.0.finish() != layer.diff_id().0 {
            return Ok(None);
        }
        let (digest, size) = (blob.digest().clone(), blob.size());
        let form = Form { digest, size, media_type: MEDIA_TYPE.to_owned(), kind: FormKind::Recipe };
        Ok(Some((blob, form)))
    }
}

/// Writes a recipe; nothing if it cannot be: the tar was read once without an error, so it is the disk.
fn write(tar: impl Read, ingest: Ingest, limits: &Limits) -> Option<Ingest> {
    let mut recorder = Recorder::new(tar, ingest, limits).ok()?;
    io::copy(&mut recorder, &mut io::sink()).ok()?;
    recorder.finish().ok()
}
