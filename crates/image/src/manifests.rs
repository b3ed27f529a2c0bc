//! What an image is named by: its manifest or index, and the state of each platform (API ≥ 1.48).

use std::collections::{BTreeMap, BTreeSet};

use longshore_store::{Manifest, ManifestKind, Target};
use longshore_types::{
    Digest, ImageId, Platform,
    oci::{Descriptor, Index, MediaKind, media_type},
};

use crate::{Images, Result};

/// The most bytes of a manifest or index that are read.
const LIMIT: u64 = 4 << 20;
/// What a builder writes at a manifest that says something about another one.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// One manifest of an image, here or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestSummary {
    pub descriptor: Descriptor,
    /// Everything that it names is here: its blobs, or the unpacked image.
    pub available: bool,
    /// Bytes of its blobs that are here, its own among them.
    pub content: u64,
    /// Bytes of its unpacked layers.
    pub unpacked: u64,
    pub kind: ManifestState,
}

/// What a manifest is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestState {
    /// An image for one platform; `image` if it is here.
    Image {
        platform: Platform,
        image: Option<ImageId>,
    },
    /// A statement about another manifest.
    Attestation {
        about: Option<Digest>,
    },
    Unknown,
}

impl ManifestSummary {
    /// Bytes of all its forms.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.content + self.unpacked
    }
}

impl Images {
    /// The descriptor of what a name stands for. A local image that has no manifest is its configuration.
    pub fn descriptor(&self, target: &Target) -> Result<Option<Descriptor>> {
        match target {
            Target::Manifest(digest) => {
                let manifest = self.store().manifest(digest)?;
                Ok(manifest.map(|found| Descriptor::new(found.media_type, found.digest, found.size)))
            }
            Target::Image(ImageId(digest)) => {
                let size = self.store().blob_size(digest)?;
                Ok(size.map(|size| Descriptor::new(media_type::OCI_CONFIG, digest.clone(), size)))
            }
        }
    }

    /// The manifests of what a name stands for, in the index's order.
    pub fn manifests(&self, target: &Target) -> Result<Vec<ManifestSummary>> {
        let Some(descriptor) = self.descriptor(target)? else { return Ok(Vec::new()) };
        if !descriptor.kind().is_index() {
            return Ok(vec![self.manifest_summary(descriptor)?]);
        }
        let bytes = self.store().read_blob(&descriptor.digest, LIMIT)?;
        let index = Index::read(&bytes, &descriptor.media_type)?;
        index.manifests.into_iter().map(|descriptor| self.manifest_summary(descriptor)).collect()
    }

    fn manifest_summary(&self, descriptor: Descriptor) -> Result<ManifestSummary> {
        let store = self.store();
        let manifest = store.manifest(&descriptor.digest)?;
        let image = match (&manifest, descriptor.kind()) {
            (Some(manifest), _) => manifest.image.clone(),
            (None, MediaKind::OciConfig | MediaKind::DockerConfig) => {
                Some(ImageId(descriptor.digest.clone()))
            }
            (None, _) => None,
        };
        let image = image.map(|id| store.image(&id)).transpose()?.flatten();
        let unpacked = image.as_ref().map_or(Ok(0), |image| self.unpacked(&image.layers))?;
        let (content, complete) = self.content(&descriptor.digest, manifest.as_ref())?;
        let attestation =
            descriptor.annotations.get(REFERENCE_TYPE).is_some_and(|kind| kind == "attestation-manifest");
        let platform =
            descriptor.platform.clone().or_else(|| image.as_ref().map(|image| image.platform.clone()));
        let kind = match platform {
            _ if attestation => ManifestState::Attestation { about: about(&descriptor.annotations) },
            _ if is_nested(manifest.as_ref()) => ManifestState::Unknown,
            Some(platform) if !platform.is_unknown() => {
                ManifestState::Image { platform, image: image.as_ref().map(|image| image.id.clone()) }
            }
            _ => ManifestState::Unknown,
        };
        Ok(ManifestSummary { descriptor, available: complete || image.is_some(), content, unpacked, kind })
    }

    /// Bytes of blobs that are here, and whether these are all.
    fn content(&self, digest: &Digest, manifest: Option<&Manifest>) -> Result<(u64, bool)> {
        let parts = manifest.iter().flat_map(|manifest| manifest.parts.iter().map(|(digest, _)| digest));
        let all: BTreeSet<&Digest> = parts.chain([digest]).collect();
        let mut found = (0, true);
        for digest in all {
            match self.store().blob_size(digest)? {
                Some(size) => found.0 += size,
                None => found.1 = false,
            }
        }
        Ok(found)
    }

    /// Bytes of unpacked layers, each once.
    fn unpacked(&self, layers: &[longshore_types::DiffId]) -> Result<u64> {
        let mut bytes = 0;
        for layer in layers.iter().collect::<BTreeSet<_>>() {
            bytes += self.store().layer(layer)?.map_or(0, |layer| layer.facts.bytes);
        }
        Ok(bytes)
    }
}

fn is_nested(manifest: Option<&Manifest>) -> bool {
    manifest.is_some_and(|manifest| manifest.kind == ManifestKind::Index)
}

fn about(annotations: &BTreeMap<String, String>) -> Option<Digest> {
    annotations.get(REFERENCE_DIGEST)?.parse().ok()
}

/// Whether a descriptor says that it is a statement about another manifest.
pub(crate) fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.annotations.contains_key(REFERENCE_TYPE)
}
