//! What goes into an archive, found before anything is written.

use std::collections::BTreeMap;

use longshore_store::{FormKind, Image, Lease, Manifest, ManifestKind, Resource, State, Target};
use longshore_types::{
    Algorithm, DiffId, Digest, ImageId, Reference,
    oci::{Compression, Descriptor, MediaKind, media_type},
};
use serde_json::{Map, Value, json};

use super::{Item, SaveError, SaveOptions};
use crate::{Images, Result};

/// The most bytes of a manifest or index.
const LIMIT: u64 = 4 << 20;

/// Where the bytes of a blob come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Bytes(Vec<u8>),
    Store(u64),
    /// A layer that is written again: its DiffID is the blob's digest.
    Layer(u64),
}

/// An archive as it is going to be.
pub(super) struct Plan<'a> {
    pub(super) images: &'a Images,
    lease: &'a Lease,
    pub(super) blobs: BTreeMap<Digest, Source>,
    /// `index.json`.
    manifests: Vec<Value>,
    /// `manifest.json`.
    items: Vec<Value>,
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

/// An image's manifest as it goes into the archive.
struct Chosen {
    descriptor: Descriptor,
    /// Layers, lowest first.
    layers: Vec<Digest>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(images: &'a Images, lease: &'a Lease) -> Self {
        Self {
            images,
            lease,
            blobs: BTreeMap::new(),
            manifests: Vec::new(),
            items: Vec::new(),
            repositories: BTreeMap::new(),
        }
    }

    /// Adds an image, or an index with its images.
    pub(super) fn add(&mut self, item: &Item, options: &SaveOptions) -> Result<()> {
        self.lease.add_all(item.images.iter().cloned().map(Resource::Image))?;
        let missing = || crate::resolve::no_such_image(&item.target.digest().to_string());
        let id = self.images.choose(&item.images, options.platform.as_ref())?.ok_or_else(missing)?;
        let image = self.images.store().image(&id)?.ok_or_else(missing)?;
        if image.state != State::Complete {
            return Err(SaveError::Damaged { image: id }.into());
        }
        let chosen = self.image(&image, &item.target)?;
        let mut descriptor = chosen.descriptor.clone();
        if options.platform.is_none()
            && let Some(index) = self.index(&item.target, &item.images)?
        {
            descriptor = index;
        }
        self.name(&descriptor, &item.tags);
        let path = |digest: &Digest| format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        let tags: Vec<_> = item.tags.iter().map(Reference::familiar).collect();
        self.items.push(json!({
            "Config": path(&id.0),
            "RepoTags": if tags.is_empty() { Value::Null } else { tags.into() },
            "Layers": chosen.layers.iter().map(path).collect::<Vec<_>>(),
        }));
        if let Some(top) = chosen.layers.last() {
            for tag in &item.tags {
                let repository = self.repositories.entry(tag.familiar_repository()).or_default();
                repository.insert(tag.tag().unwrap_or_default().to_owned(), top.hex().to_owned());
            }
        }
        Ok(())
    }

    /// Names a manifest or index in `index.json`.
    fn name(&mut self, descriptor: &Descriptor, tags: &[Reference]) {
        let plain = serde_json::to_value(descriptor).unwrap_or_default();
        if tags.is_empty() {
            self.manifests.push(plain.clone());
        }
        for tag in tags {
            let mut named = plain.clone();
            named["annotations"] = json!({
                "io.containerd.image.name": tag.to_string(),
                "org.opencontainers.image.ref.name": tag.tag(),
            });
            self.manifests.push(named);
        }
    }

    /// Adds an index as it came, if at least one of its images can go in as it came.
    fn index(&mut self, target: &Target, images: &[ImageId]) -> Result<Option<Descriptor>> {
        let Target::Manifest(digest) = target else { return Ok(None) };
        let store = self.images.store();
        let Some(index) = store.manifest(digest)?.filter(|found| found.kind == ManifestKind::Index) else {
            return Ok(None);
        };
        let mut complete = false;
        for (child, _) in &index.parts {
            let Some(manifest) = store.manifest(child)? else { continue };
            let image = manifest.image.as_ref().filter(|id| images.contains(id));
            let layers = match image.map(|id| store.image(id)).transpose()?.flatten() {
                Some(image) => image.layers,
                None => Vec::new(),
            };
            if self.original(&manifest, &layers)?.is_some() {
                complete |= image.is_some();
            }
        }
        if !complete {
            return Ok(None);
        }
        self.document(digest)?;
        Ok(Some(Descriptor::new(index.media_type, index.digest, index.size)))
    }

    /// Adds one image: under its own manifest, the target's if it is one; else under one that is made here.
    fn image(&mut self, image: &Image, target: &Target) -> Result<Chosen> {
        let store = self.images.store();
        let mut manifests = store.manifests_of(&image.id)?;
        let index = store.manifest(target.digest())?;
        let in_target = |manifest: &Manifest| {
            manifest.digest == *target.digest()
                || index.iter().any(|index| index.parts.iter().any(|(part, _)| *part == manifest.digest))
        };
        manifests.sort_by_key(|manifest| !in_target(manifest));
        for manifest in manifests {
            if let Some(chosen) = self.original(&manifest, &image.layers)? {
                return Ok(chosen);
            }
        }
        self.made(image)
    }

    /// Adds a manifest as it came with all its blobs, if they can be had.
    fn original(&mut self, manifest: &Manifest, diff_ids: &[DiffId]) -> Result<Option<Chosen>> {
        let store = self.images.store();
        let mut found = BTreeMap::new();
        for (position, (part, _)) in manifest.parts.iter().enumerate() {
            // The first is the configuration.
            let diff_id = position.checked_sub(1).and_then(|at| diff_ids.get(at));
            let source = match (store.blob_size(part)?, diff_id) {
                (Some(size), _) => Source::Store(size),
                (None, Some(diff_id)) if diff_id.0 == *part => match store.layer(diff_id)? {
                    Some(layer) => Source::Layer(layer.facts.tar_bytes),
                    None => return Ok(None),
                },
                (None, _) => return Ok(None),
            };
            self.lease.add(Resource::Blob(part.clone()))?;
            found.insert(part.clone(), source);
        }
        if found.keys().any(|digest| digest.algorithm() != Algorithm::Sha256) {
            return Ok(None);
        }
        self.document(&manifest.digest)?;
        self.blobs.extend(found);
        let descriptor = Descriptor::new(manifest.media_type.clone(), manifest.digest.clone(), manifest.size);
        let layers = manifest.parts.iter().skip(1).map(|(part, _)| part.clone()).collect();
        Ok(Some(Chosen { descriptor, layers }))
    }

    /// Makes a manifest for an image that has none, or none whose blobs are here.
    fn made(&mut self, image: &Image) -> Result<Chosen> {
        let store = self.images.store();
        let size = store.blob_size(&image.id.0)?.unwrap_or(0);
        self.blobs.insert(image.id.0.clone(), Source::Store(size));
        let config = Descriptor::new(media_type::OCI_CONFIG, image.id.0.clone(), size);
        let mut layers = Vec::new();
        for diff_id in &image.layers {
            layers.push(self.layer(diff_id)?);
        }
        let bytes = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": config,
            "layers": layers,
        }));
        let bytes = bytes.unwrap_or_default();
        let descriptor = Descriptor::of(media_type::OCI_MANIFEST, &bytes);
        self.blobs.insert(descriptor.digest.clone(), Source::Bytes(bytes));
        Ok(Chosen { descriptor, layers: layers.into_iter().map(|layer| layer.digest).collect() })
    }

    /// Adds a layer in a form that is here, or else as it is.
    fn layer(&mut self, diff_id: &DiffId) -> Result<Descriptor> {
        let store = self.images.store();
        let missing = || longshore_store::Error::NoSuchLayer { diff_id: diff_id.clone() };
        let layer = store.layer(diff_id)?.ok_or_else(missing)?;
        for form in layer.facts.forms.iter().filter(|form| form.kind == FormKind::Compressed) {
            let Some(media_type) = oci_type(&form.media_type) else { continue };
            self.lease.add(Resource::Blob(form.digest.clone()))?;
            if form.digest.algorithm() == Algorithm::Sha256
                && let Some(size) = store.blob_size(&form.digest)?
            {
                self.blobs.insert(form.digest.clone(), Source::Store(size));
                return Ok(Descriptor::new(media_type, form.digest.clone(), size));
            }
        }
        let size = layer.facts.tar_bytes;
        self.blobs.insert(diff_id.0.clone(), Source::Layer(size));
        Ok(Descriptor::new(media_type::OCI_LAYER, diff_id.0.clone(), size))
    }

    /// Adds the bytes of a manifest or index.
    fn document(&mut self, digest: &Digest) -> Result<()> {
        if digest.algorithm() != Algorithm::Sha256 {
            return Err(SaveError::Algorithm { digest: digest.clone() }.into());
        }
        let bytes = self.images.store().read_blob(digest, LIMIT)?;
        self.blobs.insert(digest.clone(), Source::Bytes(bytes));
        Ok(())
    }

    /// The documents at the end, by name.
    pub(super) fn documents(&self) -> Vec<(&'static str, Vec<u8>)> {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_INDEX,
            "manifests": self.manifests,
        });
        let mut documents = vec![
            ("index.json", index),
            ("manifest.json", Value::Array(self.items.clone())),
            ("oci-layout", json!({"imageLayoutVersion": "1.0.0"})),
        ];
        if !self.repositories.is_empty() {
            let repositories: Map<_, _> =
                self.repositories.iter().map(|(name, tags)| (name.clone(), json!(tags))).collect();
            documents.push(("repositories", Value::Object(repositories)));
        }
        let bytes = |value: &Value| serde_json::to_vec(value).unwrap_or_default();
        documents.iter().map(|(name, value)| (*name, bytes(value))).collect()
    }
}

/// The OCI name of a layer's form.
fn oci_type(found: &str) -> Option<&'static str> {
    match MediaKind::of(found) {
        MediaKind::Layer { compression, foreign: false } => Some(match compression {
            Compression::None => media_type::OCI_LAYER,
            Compression::Gzip => media_type::OCI_LAYER_GZIP,
            Compression::Zstd => media_type::OCI_LAYER_ZSTD,
        }),
        _ => None,
    }
}
