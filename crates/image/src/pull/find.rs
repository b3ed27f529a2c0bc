//! From a name to the documents of one image.

use bytes::Bytes;
use longshore_registry::Repository;
use longshore_store::{Prepared, Store};
use longshore_types::{
    Algorithm, Digest, ImageId, Matcher, Platform, Reference,
    oci::{Descriptor, ImageConfig, Index, MAX_CONFIG, MAX_INDEX_DEPTH, MAX_MANIFEST, Manifest},
};

use crate::{Error, Images, Result};

/// A manifest, an index or a configuration: the bytes that its digest is of.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: Bytes,
}

/// Everything about an image but its layers.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What the name stands for: an index or the manifest.
    pub(crate) target: Document,
    /// From the target to the one that names the manifest.
    pub(crate) indexes: Vec<(Document, Index)>,
    pub(crate) manifest_document: Document,
    pub(crate) manifest: Manifest,
    pub(crate) config_document: Document,
    pub(crate) config: ImageConfig,
}

impl Found {
    pub(crate) fn image(&self) -> ImageId {
        ImageId(self.config_document.descriptor.digest.clone())
    }

    /// What the image says that it is for.
    pub(crate) fn platform(&self) -> Platform {
        platform_of(&self.config)
    }

    /// The indexes and the manifest.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Document> {
        self.indexes.iter().map(|(document, _)| document).chain([&self.manifest_document])
    }
}

/// What a configuration says that the image is for.
pub(crate) fn platform_of(config: &ImageConfig) -> Platform {
    Platform {
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        variant: config.variant.clone(),
        os_version: config.os_version.clone(),
        os_features: config.os_features.clone(),
    }
}

/// A manifest or index that is here.
pub(crate) fn local_document(store: &Store, digest: &Digest) -> Result<Option<Document>> {
    let Some(manifest) = store.manifest(digest)? else { return Ok(None) };
    let Some(bytes) = local_bytes(store, digest, MAX_MANIFEST)? else { return Ok(None) };
    let descriptor = Descriptor::new(manifest.media_type, digest.clone(), bytes.len() as u64);
    Ok(Some(Document { descriptor, bytes }))
}

/// A small blob that is here. One that is damaged is not.
fn local_bytes(store: &Store, digest: &Digest, limit: usize) -> Result<Option<Bytes>> {
    match store.read_blob(digest, limit as u64) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(
            longshore_store::Error::NoSuchBlob { .. }
            | longshore_store::Error::DigestMismatch { .. }
            | longshore_store::Error::SizeMismatch { .. },
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Prepares a document that is not here yet.
pub(crate) fn prepare_document(store: &Store, document: &Document) -> Result<Option<Prepared>> {
    use std::io::Write;
    let digest = &document.descriptor.digest;
    if store.has_blob(digest)? {
        return Ok(None);
    }
    if digest.algorithm() == Algorithm::Sha256 {
        return Ok(Some(Prepared::Blob(store.prepare_blob(&document.bytes)?)));
    }
    let mut ingest = store.ingest(digest, document.bytes.len() as u64)?;
    let offset = usize::try_from(ingest.offset()).unwrap_or(usize::MAX).min(document.bytes.len());
    let written = ingest.write_all(&document.bytes[offset..]);
    written.map_err(|source| crate::unpack::Error::Keep { layer: digest.short().to_owned(), source })?;
    Ok(Some(Prepared::Blob(ingest.prepare()?)))
}

/// Answers of a registry that does not do `HEAD`.
const NO_HEAD: [u16; 4] = [400, 405, 415, 501];

impl Images {
    /// What a name stands for. What is here and has not changed is not fetched.
    pub(super) async fn find_target(&self, repository: &Repository, name: &Reference) -> Result<Document> {
        let digest = match (name.tag(), name.digest()) {
            (_, Some(digest)) => {
                let (digest, name) = (digest.clone(), name.clone());
                self.blocking(move |store| Ok(store.has_repo_digest(&name)?.then_some(digest))).await?
            }
            (Some(tag), None) => self.changed(repository, name, tag).await?,
            (None, None) => None,
        };
        if let Some(digest) = digest
            && let Some(document) = self.blocking(move |store| local_document(store, &digest)).await?
        {
            return Ok(document);
        }
        let version = match (name.digest(), name.tag()) {
            (Some(digest), _) => digest.as_str(),
            (None, tag) => tag.unwrap_or("latest"),
        };
        let resolved = repository.resolve(version).await?;
        Ok(Document { descriptor: resolved.descriptor, bytes: resolved.bytes })
    }

    /// What the registry says that a tag stands for now, if the tag is known here.
    async fn changed(&self, repository: &Repository, name: &Reference, tag: &str) -> Result<Option<Digest>> {
        let name = name.clone();
        if self.blocking(move |store| Ok(store.tagged(&name)?)).await?.is_none() {
            return Ok(None);
        }
        match repository.head(tag).await {
            Ok(found) => Ok(found.map(|descriptor| descriptor.digest)),
            Err(error) if error.status().is_some_and(|status| NO_HEAD.contains(&status)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The manifest or index of a descriptor, from here or from the registry.
    async fn document(&self, repository: &Repository, descriptor: &Descriptor) -> Result<Document> {
        let digest = descriptor.digest.clone();
        if let Some(mut found) = self.blocking(move |store| local_document(store, &digest)).await? {
            // The index is what says how its entry is to be read.
            if !descriptor.media_type.is_empty() {
                found.descriptor.media_type.clone_from(&descriptor.media_type);
            }
            return Ok(found);
        }
        let resolved = repository.manifest(descriptor).await?;
        Ok(Document { descriptor: resolved.descriptor, bytes: resolved.bytes })
    }

    /// The image of the target that fits.
    pub(super) async fn find_image(
        &self,
        repository: &Repository,
        target: Document,
        matcher: &Matcher,
    ) -> Result<Found> {
        let mut indexes: Vec<(Document, Index)> = Vec::new();
        let mut document = target.clone();
        while document.descriptor.kind().is_index() {
            if indexes.len() >= MAX_INDEX_DEPTH {
                return Err(Error::IndexDepth { limit: MAX_INDEX_DEPTH });
            }
            let index = Index::read(&document.bytes, &document.descriptor.media_type)?;
            let Some(entry) = index.select(matcher) else {
                return Err(Error::NoMatchingManifest { platform: matcher.wanted().clone() });
            };
            let next = self.document(repository, entry).await?;
            indexes.push((document, index));
            document = next;
        }
        let manifest = Manifest::read(&document.bytes, &document.descriptor.media_type)?;
        manifest.check_image()?;
        let descriptor = manifest.config.clone();
        let digest = descriptor.digest.clone();
        let local = self.blocking(move |store| local_bytes(store, &digest, MAX_CONFIG)).await?;
        let bytes = match local {
            Some(bytes) => bytes,
            None => repository.blob_bytes(&descriptor, MAX_CONFIG as u64).await?,
        };
        let config = ImageConfig::read(&bytes)?;
        manifest.check_config(&config)?;
        let config_document = Document { descriptor, bytes };
        Ok(Found { target, indexes, manifest_document: document, manifest, config_document, config })
    }
}
