//! A manifest for an image that was made here: its layers get a compressed form, once.

use std::io::Write;

use bytes::Bytes;
use longshore_archive::compress::{Compression, Encoder};
use longshore_store::{Form, FormKind, ManifestKind, NewManifest, Prepared, Store};
use longshore_types::{
    DiffId, Digest, ImageId,
    oci::{Descriptor, Manifest, MediaKind, media_type},
};
use serde_json::Map;

use crate::{Error, Images, Result, layer_tar};

impl Images {
    /// Makes the manifest of an image and the compressed forms of its layers, and stores them. Docker's kind, as
    /// every registry takes it.
    pub(super) async fn make_manifest(&self, id: &ImageId) -> Result<Digest> {
        let (id, level) = (id.clone(), self.settings().gzip_level);
        self.blocking(move |store| {
            let missing = || Error::NoManifest { digest: id.0.clone() };
            let image = store.image(&id)?.ok_or_else(missing)?;
            let mut prepared = Vec::new();
            let mut layers = Vec::new();
            for diff_id in &image.layers {
                layers.push(compressed(store, diff_id, level)?);
            }
            let size = store.blob_size(&id.0)?.ok_or_else(missing)?;
            let config = Descriptor::new(media_type::DOCKER_CONFIG, id.0.clone(), size);
            let manifest = Manifest {
                schema_version: 2,
                media_type: Some(media_type::DOCKER_MANIFEST.to_owned()),
                artifact_type: None,
                config,
                layers,
                subject: None,
                annotations: std::collections::BTreeMap::new(),
                other: Map::new(),
            };
            let bytes = Bytes::from(serde_json::to_vec_pretty(&manifest).unwrap_or_default());
            let blob = store.prepare_blob(&bytes)?;
            let digest = blob.digest().clone();
            let parts = [&manifest.config].into_iter().chain(&manifest.layers);
            prepared.push(Prepared::Manifest(NewManifest {
                digest: digest.clone(),
                kind: ManifestKind::Manifest,
                media_type: media_type::DOCKER_MANIFEST.to_owned(),
                size: bytes.len() as u64,
                image: Some(id.clone()),
                parts: parts.map(|part| (part.digest.clone(), part.size)).collect(),
            }));
            prepared.push(Prepared::Blob(blob));
            store.commit_all(prepared)?;
            Ok(digest)
        })
        .await
    }
}

/// A gzip form of the layer: one that is here, or a new one that is kept.
fn compressed(store: &Store, diff_id: &DiffId, level: u32) -> Result<Descriptor> {
    let layer = store
        .layer(diff_id)?
        .ok_or_else(|| longshore_store::Error::NoSuchLayer { diff_id: diff_id.clone() })?;
    for form in &layer.facts.forms {
        let gzip = matches!(
            MediaKind::of(&form.media_type),
            MediaKind::Layer { compression: longshore_types::oci::Compression::Gzip, foreign: false }
        );
        if form.kind == FormKind::Compressed && gzip && store.has_blob(&form.digest)? {
            return Ok(Descriptor::new(media_type::DOCKER_LAYER_GZIP, form.digest.clone(), form.size));
        }
    }
    let write =
        |source| Error::Unpack(crate::unpack::Error::Keep { layer: diff_id.0.short().to_owned(), source });
    let blob = store.new_blob()?;
    let mut encoder = Encoder::new(blob, Compression::Gzip, Some(level)).map_err(write)?;
    layer_tar::write(store, diff_id, &mut encoder)?;
    encoder.flush().map_err(write)?;
    let blob = encoder.finish().map_err(write)?.prepare()?;
    let (digest, size) = (blob.digest().clone(), blob.size());
    store.commit_all(vec![Prepared::Blob(blob)])?;
    let form = Form {
        digest: digest.clone(),
        size,
        media_type: media_type::DOCKER_LAYER_GZIP.to_owned(),
        kind: FormKind::Compressed,
    };
    store.add_form(diff_id, &form)?;
    Ok(Descriptor::new(media_type::DOCKER_LAYER_GZIP, digest, size))
}
