//! Storing what an archive describes: all of it with one commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufReader},
};

use longshore_archive::compress::{Compression, Decoder, peek};
use longshore_store::{
    Form, FormKind, ManifestKind, NewImage, NewManifest, Prepared, PreparedLayer, Resource, Store, Target,
};
use longshore_types::{
    Algorithm, DiffId, Hasher, ImageId, Progress, ProgressEvent, Reference, Status,
    oci::media_type::{OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD},
    time,
};

use super::{
    Content, Document, Loaded, Named, Source, Wanted,
    error::{LoadError, shown},
    spool::{Spool, Stored},
};
use crate::{
    Images, Result,
    import::Hash,
    labels,
    unpack::{Job, unpack},
};

impl Images {
    pub(super) fn store_loaded(
        &self,
        content: Content,
        mut spool: Spool,
        progress: &dyn Progress,
    ) -> Result<Vec<Loaded>> {
        let mut batch = Vec::new();
        let sources: BTreeMap<&DiffId, &Source> = content
            .images
            .iter()
            .flat_map(|image| &image.layers)
            .map(|source| (&source.diff_id, source))
            .collect();
        spool.hold(sources.keys().map(|diff_id| Resource::Layer((*diff_id).clone())))?;
        let mut forms = Vec::new();
        for source in sources.values() {
            if self.store().layer(&source.diff_id)?.is_none() {
                self.load_layer(source, &mut spool, progress, &mut batch)?;
            } else if let Some(form) = self.new_form(source, &mut spool, &mut batch)? {
                forms.push((source.diff_id.clone(), form));
            }
        }
        for image in &content.images {
            batch.push(Prepared::Blob(self.store().prepare_blob(&image.bytes)?));
            batch.push(Prepared::Image(new_image(image)));
            if let Some(manifest) = &image.manifest {
                self.add_document(manifest, ManifestKind::Manifest, Some(&image.id), &mut batch)?;
            }
        }
        for other in &content.others {
            let image =
                content.images.iter().find(|image| other.parts.iter().any(|(part, _)| *part == image.id.0));
            self.add_document(other, ManifestKind::Manifest, image.map(|image| &image.id), &mut batch)?;
            self.add_blobs(other, &mut spool, &mut batch);
        }
        for index in &content.indexes {
            self.add_document(index, ManifestKind::Index, None, &mut batch)?;
        }
        let mut replaced = Vec::new();
        for (name, named) in &content.tags {
            let target = match named {
                Named::Image(id) => Target::Image(id.clone()),
                Named::Document(digest) => Target::Manifest(digest.clone()),
            };
            if let Some(old) = self.replaced(name, &content.images_of(named))? {
                replaced.push((name.clone(), old));
            }
            batch.push(Prepared::Tag(name.clone(), target));
        }
        self.store().commit_all(batch)?;
        for (diff_id, form) in forms {
            self.store().add_form(&diff_id, &form)?;
        }
        Ok(told(&content, &replaced, progress))
    }

    /// Unpacks a layer that is new.
    fn load_layer(
        &self,
        source: &Source,
        spool: &mut Spool,
        progress: &dyn Progress,
        batch: &mut Vec<Prepared>,
    ) -> Result<()> {
        let missing = || LoadError::Missing { by: "an image", name: shown(&source.file) };
        let (reader, total) = spool.open(&source.file)?.ok_or_else(missing)?;
        let id = source.diff_id.0.short().to_owned();
        let tell = |current: u64| {
            progress.report(ProgressEvent::new(id.clone(), Status::Loading { current, total }));
        };
        let (compression, reader) = peek(reader).map_err(LoadError::Read)?;
        let media_type = media_type(compression);
        let mut job = Job::new(shown(&source.file), &self.settings().limits);
        job.expected = Some(source.diff_id.clone());
        job.progress = Some(&tell);
        if let Some(media_type) = media_type {
            job.form = Some(keep(self.store(), spool, source, (media_type, total), batch)?);
        }
        let reader = BufReader::with_capacity(128 << 10, reader);
        let mut unpacked = unpack(self.store(), reader, job)?;
        if media_type.is_none() {
            self.keep_tar(compression, spool, source, &mut unpacked.layer, batch)?;
        }
        batch.push(Prepared::Layer(unpacked.layer));
        Ok(())
    }

    /// Keeps the compressed form of a layer that is here already, without this form.
    fn new_form(
        &self,
        source: &Source,
        spool: &mut Spool,
        batch: &mut Vec<Prepared>,
    ) -> Result<Option<Form>> {
        if !matches!(spool.file(&source.file), Some(Stored::Disk(_) | Stored::Memory(_))) {
            return Ok(None);
        }
        let Some((reader, total)) = spool.open(&source.file)? else { return Ok(None) };
        let (compression, reader) = peek(reader).map_err(LoadError::Read)?;
        let Some(media_type) = media_type(compression) else { return Ok(None) };
        let reader = BufReader::with_capacity(128 << 10, reader);
        let mut tar = Decoder::new(reader, compression, &self.settings().limits).map_err(LoadError::Read)?;
        let mut hash = Hash(Hasher::new(Algorithm::Sha256));
        io::copy(&mut tar, &mut hash).map_err(LoadError::Read)?;
        let found = DiffId(hash.0.finish());
        if found != source.diff_id {
            let (layer, expected) = (shown(&source.file), source.diff_id.clone());
            return Err(crate::unpack::Error::DiffId { layer, expected, found }.into());
        }
        keep(self.store(), spool, source, (media_type, total), batch).map(Some)
    }

    /// Keeps what a layer's tar can be made from again: a recipe, or, if it does not do, the tar itself.
    fn keep_tar(
        &self,
        compression: Compression,
        spool: &mut Spool,
        source: &Source,
        layer: &mut PreparedLayer,
        batch: &mut Vec<Prepared>,
    ) -> Result<()> {
        let Some((reader, total)) = spool.open(&source.file)? else { return Ok(()) };
        let reader = BufReader::with_capacity(128 << 10, reader);
        let tar = Decoder::new(reader, compression, &self.settings().limits).map_err(LoadError::Read)?;
        let form = match self.record(tar, layer)? {
            Some((blob, form)) => {
                batch.push(Prepared::Blob(blob));
                form
            }
            None if compression == Compression::None => {
                keep(self.store(), spool, source, (OCI_LAYER, total), batch)?
            }
            None => return Ok(()),
        };
        layer.add_form(form)?;
        Ok(())
    }

    fn add_document(
        &self,
        document: &Document,
        kind: ManifestKind,
        image: Option<&ImageId>,
        batch: &mut Vec<Prepared>,
    ) -> Result<()> {
        let blob = self.store().prepare_blob(&document.bytes)?;
        batch.push(Prepared::Manifest(NewManifest {
            digest: blob.digest().clone(),
            kind,
            media_type: document.descriptor.media_type.clone(),
            size: blob.size(),
            image: image.cloned(),
            parts: document.parts.clone(),
        }));
        batch.push(Prepared::Blob(blob));
        Ok(())
    }

    /// Stores the blobs of a manifest that is no image.
    fn add_blobs(&self, document: &Document, spool: &mut Spool, batch: &mut Vec<Prepared>) {
        for (digest, _) in &document.parts {
            match spool.take(&super::oci::file(digest)) {
                Some(Stored::Disk(blob)) => batch.push(Prepared::Blob(blob)),
                Some(Stored::Memory(bytes)) => {
                    batch.extend(self.store().prepare_blob(&bytes).ok().map(Prepared::Blob));
                }
                Some(Stored::Blob(_) | Stored::Layer) | None => {}
            }
        }
    }

    /// The image that loses the name, if one does.
    fn replaced(&self, name: &Reference, new: &[ImageId]) -> Result<Option<ImageId>> {
        if self.store().tagged(name)?.is_none() {
            return Ok(None);
        }
        let old = self.store().resolve(&name.to_string())?;
        Ok(old.images.into_iter().find(|image| !new.contains(image)))
    }
}

impl Content {
    /// The images of the archive that a name stands for.
    fn images_of(&self, named: &Named) -> Vec<ImageId> {
        let digest = match named {
            Named::Image(id) => return vec![id.clone()],
            Named::Document(digest) => digest,
        };
        let index = self.indexes.iter().find(|index| index.descriptor.digest == *digest);
        let manifests: BTreeSet<_> = match index {
            Some(index) => index.parts.iter().map(|(part, _)| part).collect(),
            None => [digest].into(),
        };
        let is_named = |image: &&Wanted| {
            image.manifest.as_ref().is_some_and(|manifest| manifests.contains(&manifest.descriptor.digest))
        };
        self.images.iter().filter(is_named).map(|image| image.id.clone()).collect()
    }
}

fn new_image(image: &Wanted) -> NewImage {
    let created = image.config.created.as_deref().and_then(time::parse_rfc3339);
    NewImage {
        id: image.id.clone(),
        layers: image.config.rootfs.diff_ids.clone(),
        platform: image.config.platform(),
        created: created.map(|time| time.0),
        labels: labels::allowed(&image.config.config.labels),
        parent: image.parent.clone(),
    }
}

/// The media type of a layer that stays compressed as it came, as registries have it, for a push of the same.
const fn media_type(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::Gzip => Some(OCI_LAYER_GZIP),
        Compression::Zstd => Some(OCI_LAYER_ZSTD),
        Compression::None | Compression::Bzip2 | Compression::Xz => None,
    }
}

/// Keeps the file of a layer as a blob.
fn keep(
    store: &Store,
    spool: &mut Spool,
    source: &Source,
    (media_type, size): (&str, u64),
    batch: &mut Vec<Prepared>,
) -> Result<Form> {
    let (digest, blob) = match spool.take(&source.file) {
        Some(Stored::Disk(blob)) => (blob.digest().clone(), Some(blob)),
        Some(Stored::Memory(bytes)) => {
            let blob = store.prepare_blob(&bytes)?;
            (blob.digest().clone(), Some(blob))
        }
        Some(Stored::Blob(digest)) => (digest, None),
        Some(Stored::Layer) | None => {
            return Err(LoadError::Missing { by: "an image", name: shown(&source.file) }.into());
        }
    };
    batch.extend(blob.map(Prepared::Blob));
    Ok(Form { digest, size, media_type: media_type.to_owned(), kind: FormKind::Compressed })
}

/// Tells what was loaded, as Docker does.
fn told(content: &Content, replaced: &[(Reference, ImageId)], progress: &dyn Progress) -> Vec<Loaded> {
    let mut loaded: Vec<Loaded> =
        content.images.iter().map(|image| Loaded { image: image.id.clone(), tags: Vec::new() }).collect();
    for (name, named) in &content.tags {
        let familiar = name.familiar();
        if let Some((_, old)) = replaced.iter().find(|(found, _)| found == name) {
            let text = format!(
                "The image {familiar} already exists, renaming the old one with ID {old} to empty string"
            );
            progress.report(ProgressEvent::of_all(Status::Note { text }));
        }
        progress.report(ProgressEvent::of_all(Status::Loaded { image: familiar }));
        let images = content.images_of(named);
        for one in loaded.iter_mut().filter(|one| images.contains(&one.image)) {
            one.tags.push(name.clone());
        }
    }
    for one in loaded.iter().filter(|one| one.tags.is_empty()) {
        let text = format!("Loaded image ID: {}", one.image);
        progress.report(ProgressEvent::of_all(Status::Note { text }));
    }
    loaded
}
