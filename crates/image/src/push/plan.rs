//! What a push has to put into the registry, from what is here.

use std::collections::HashSet;

use longshore_store::{ManifestKind, Store, Target};
use longshore_types::{
    DiffId, Digest, ImageId, Matcher, Platform,
    oci::{Descriptor, ImageConfig, Index, MAX_CONFIG, MAX_INDEX_DEPTH, Manifest, MediaKind},
};

use super::PushOptions;
use crate::{
    Error, Images, Result,
    pull::{Document, local_document},
};

/// What is pushed: documents from the innermost to the target, and their blobs.
#[derive(Debug)]
pub(super) struct Plan {
    images: Vec<Planned>,
    /// Innermost first; the last one is the target, unless the target is the only image.
    indexes: Vec<Document>,
    /// Entries of indexes that are not here.
    missing: Vec<Descriptor>,
    pub(super) warnings: Vec<String>,
}

/// One image of the plan.
#[derive(Clone, Debug)]
struct Planned {
    document: Document,
    config: Descriptor,
    layers: Vec<Layer>,
}

/// A layer of a manifest, and what it is unpacked.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) descriptor: Descriptor,
    pub(super) diff_id: DiffId,
}

impl Layer {
    /// What Docker's clients call it.
    pub(super) fn id(&self) -> &str {
        self.diff_id.0.short()
    }
}

/// A blob to be sent.
#[derive(Clone, Debug)]
pub(super) enum Blob {
    Layer(Layer),
    Config(Descriptor),
}

impl Blob {
    pub(super) const fn descriptor(&self) -> &Descriptor {
        match self {
            Self::Layer(layer) => &layer.descriptor,
            Self::Config(descriptor) => descriptor,
        }
    }
}

impl Plan {
    /// What the tag will stand for.
    pub(super) fn target(&self) -> &Document {
        match self.indexes.last() {
            Some(index) => index,
            None => &self.images[0].document,
        }
    }

    /// The documents that the target names, to be put before it.
    pub(super) fn below(&self) -> impl Iterator<Item = &Document> {
        let all = self.images.iter().map(|image| &image.document).chain(&self.indexes);
        let target = self.target().descriptor.digest.clone();
        all.filter(move |document| document.descriptor.digest != target)
    }

    /// The layers, topmost first, each once.
    pub(super) fn layers(&self) -> Vec<&Layer> {
        let mut seen = HashSet::new();
        let layers = self.images.iter().flat_map(|image| image.layers.iter().rev());
        layers.filter(|layer| seen.insert(&layer.descriptor.digest)).collect()
    }

    /// All blobs that are ours to send, each once.
    pub(super) fn blobs(&self) -> Vec<Blob> {
        let layers = self.layers().into_iter().filter(|layer| !is_foreign(&layer.descriptor));
        let mut blobs: Vec<_> = layers.cloned().map(Blob::Layer).collect();
        let mut seen = HashSet::new();
        let configs = self.images.iter().map(|image| &image.config);
        blobs.extend(configs.filter(|config| seen.insert(&config.digest)).cloned().map(Blob::Config));
        blobs
    }

    /// Entries of the index that are not here.
    pub(super) fn missing(&self) -> Vec<Descriptor> {
        self.missing.clone()
    }

    /// Without what is absent, only a single image can be pushed, and is, as Docker does. Returns what to tell.
    pub(super) fn reduce(&mut self, absent: &[Descriptor]) -> Result<Option<String>> {
        let index = self.target().descriptor.digest.clone();
        let [image] = self.images.as_slice() else {
            let platforms =
                absent.iter().filter_map(|entry| entry.platform.as_ref()).map(Platform::to_string);
            return Err(Error::IncompleteIndex {
                digest: index,
                missing: platforms.collect::<Vec<_>>().join(", "),
            });
        };
        let note = format!(
            "Not all multiplatform-content is present and only the available single-platform image was pushed\n\
             {index} -> {}",
            image.document.descriptor.digest
        );
        self.warnings.push(note.clone());
        self.indexes.clear();
        self.missing.clear();
        Ok(Some(note))
    }
}

/// Layers that live elsewhere stay there.
fn is_foreign(descriptor: &Descriptor) -> bool {
    matches!(descriptor.kind(), MediaKind::Layer { foreign: true, .. })
}

impl Images {
    /// Finds out what is to be pushed.
    pub(super) async fn plan_push(&self, target: Target, options: &PushOptions) -> Result<Plan> {
        let matcher = options.platform.as_ref().map(Matcher::new);
        let target = match target {
            Target::Manifest(digest) => digest,
            Target::Image(id) => self.manifest_for(&id).await?,
        };
        self.blocking(move |store| {
            let mut plan =
                Plan { images: Vec::new(), indexes: Vec::new(), missing: Vec::new(), warnings: Vec::new() };
            let mut seen = HashSet::new();
            if !plan.add(store, &target, None, matcher.as_ref(), &mut seen, 0)? {
                return Err(Error::NoManifest { digest: target });
            }
            if let Some(matcher) = &matcher {
                plan.indexes.clear();
                plan.missing.clear();
                if plan.images.len() != 1 {
                    return Err(Error::NoMatchingManifest { platform: matcher.wanted().clone() });
                }
            }
            if plan.images.is_empty() {
                return Err(Error::NoManifest { digest: target });
            }
            Ok(plan)
        })
        .await
    }

    /// The manifest to push of an image that has only its ID: one that it is known by, or a new one.
    async fn manifest_for(&self, id: &ImageId) -> Result<Digest> {
        let known = id.clone();
        let known = self
            .blocking(move |store| {
                for manifest in store.manifests_of(&known)? {
                    let mut complete = manifest.kind == ManifestKind::Manifest;
                    for (digest, _) in &manifest.parts {
                        complete = complete && store.has_blob(digest)?;
                    }
                    if complete {
                        return Ok(Some(manifest.digest));
                    }
                }
                Ok(None)
            })
            .await?;
        match known {
            Some(digest) => Ok(digest),
            None => self.make_manifest(id).await,
        }
    }
}

impl Plan {
    /// Adds what `digest` names; `false` if it is not here.
    fn add(
        &mut self,
        store: &Store,
        digest: &Digest,
        entry: Option<&Descriptor>,
        matcher: Option<&Matcher>,
        seen: &mut HashSet<Digest>,
        depth: usize,
    ) -> Result<bool> {
        if depth > MAX_INDEX_DEPTH {
            return Err(Error::IndexDepth { limit: MAX_INDEX_DEPTH });
        }
        if !seen.insert(digest.clone()) {
            return Ok(true);
        }
        let Some(mut document) = local_document(store, digest)? else { return Ok(false) };
        if let Some(entry) = entry.filter(|entry| !entry.media_type.is_empty()) {
            document.descriptor.media_type.clone_from(&entry.media_type);
        }
        if !document.descriptor.kind().is_index() {
            return self.add_image(store, document);
        }
        let index = Index::read(&document.bytes, &document.descriptor.media_type)?;
        let chosen = matcher.and_then(|matcher| index.select(matcher)).map(|entry| entry.digest.clone());
        for entry in &index.manifests {
            if matcher.is_some() && chosen.as_ref() != Some(&entry.digest) {
                continue;
            }
            if !self.add(store, &entry.digest, Some(entry), matcher, seen, depth + 1)? {
                self.missing.push(entry.clone());
            }
        }
        self.indexes.push(document);
        Ok(true)
    }

    fn add_image(&mut self, store: &Store, document: Document) -> Result<bool> {
        let manifest = Manifest::read(&document.bytes, &document.descriptor.media_type)?;
        if !store.has_blob(&manifest.config.digest)? {
            return Ok(false);
        }
        let config = ImageConfig::read(&store.read_blob(&manifest.config.digest, MAX_CONFIG as u64)?)?;
        manifest.check_config(&config)?;
        let pairs = manifest.layers.into_iter().zip(config.rootfs.diff_ids);
        let layers = pairs.map(|(descriptor, diff_id)| Layer { descriptor, diff_id }).collect();
        self.images.push(Planned { document, config: manifest.config, layers });
        Ok(true)
    }
}
