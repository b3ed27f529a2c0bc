//! `index.json` and what it leads to: an OCI image layout.

use std::collections::BTreeSet;

use longshore_types::{
    Digest, ImageId, Matcher, Reference,
    oci::{Descriptor, ImageConfig, Index, Manifest, media_type},
};

use super::{Content, Document, LoadOptions, Named, Source, Wanted, error::LoadError, spool::Spool};
use crate::{Result, inspect::CONFIG_LIMIT, manifests::is_attestation};

const NAME: &str = "index.json";
/// The most bytes of a manifest or index.
const LIMIT: u64 = 4 << 20;
/// Indexes in indexes.
const DEPTH: usize = 4;
/// Manifests and indexes of one archive.
const DOCUMENTS: usize = 1000;
/// What containerd and Docker note an image's whole name as; `ref.name` has only the tag then.
const IMAGE_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

struct Layout<'a> {
    spool: &'a Spool,
    options: &'a LoadOptions,
    content: &'a mut Content,
    seen: BTreeSet<Digest>,
}

/// What became of a manifest or index.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Complete,
    /// Not all of it is in the archive, or it was not asked for.
    Absent,
}

/// Reads what the archive has as an OCI layout. `strict`: what `index.json` names must be there.
pub(super) fn read(spool: &Spool, options: &LoadOptions, strict: bool, content: &mut Content) -> Result<()> {
    let index = Index::read(spool.document(NAME).unwrap_or_default(), media_type::OCI_INDEX)?;
    let mut layout = Layout { spool, options, content, seen: BTreeSet::new() };
    for descriptor in &index.manifests {
        let found = layout.document(descriptor, 0)?;
        if found == Found::Absent {
            if strict && options.platform.is_none() {
                return Err(LoadError::Missing { by: NAME, name: descriptor.digest.to_string() }.into());
            }
            continue;
        }
        if let Some(name) = name(descriptor) {
            layout.content.tag(name, Named::Document(descriptor.digest.clone()))?;
        }
    }
    Ok(())
}

/// The name that a descriptor gives. What is no name is none: others use the annotation otherwise.
fn name(descriptor: &Descriptor) -> Option<Reference> {
    let annotations = &descriptor.annotations;
    let text = annotations.get(IMAGE_NAME).or_else(|| annotations.get(REF_NAME))?;
    let name = Reference::parse(text).ok()?;
    name.digest().is_none().then(|| name.with_default_tag())
}

impl Layout<'_> {
    fn document(&mut self, descriptor: &Descriptor, depth: usize) -> Result<Found> {
        if depth > DEPTH {
            return Err(LoadError::Depth { digest: descriptor.digest.clone(), limit: DEPTH }.into());
        }
        if !self.seen.insert(descriptor.digest.clone()) {
            // The same again, from another name or index.
            return Ok(if self.is_known(&descriptor.digest) { Found::Complete } else { Found::Absent });
        }
        if self.seen.len() > DOCUMENTS {
            return Err(LoadError::TooMany { what: "manifests", limit: DOCUMENTS as u64 }.into());
        }
        let Some(bytes) = self.spool.read(&file(&descriptor.digest), LIMIT)? else {
            return Ok(Found::Absent);
        };
        check_size(descriptor, bytes.len() as u64)?;
        if descriptor.kind().is_index() {
            self.index(descriptor, bytes, depth)
        } else {
            self.manifest(descriptor, bytes)
        }
    }

    fn is_known(&self, digest: &Digest) -> bool {
        let manifests = self.content.images.iter().filter_map(|image| image.manifest.as_ref());
        let mut all = manifests.chain(&self.content.indexes).chain(&self.content.others);
        all.any(|document| document.descriptor.digest == *digest)
    }

    fn index(&mut self, descriptor: &Descriptor, bytes: Vec<u8>, depth: usize) -> Result<Found> {
        let index = Index::read(&bytes, &descriptor.media_type)?;
        let mut found = Found::Absent;
        for child in &index.manifests {
            let wanted = match (&self.options.platform, &child.platform) {
                (Some(wanted), Some(platform)) => {
                    platform.is_unknown() || Matcher::new(wanted).rank(platform).is_some()
                }
                _ => true,
            };
            // Platforms that were not saved are missing.
            if wanted && self.document(child, depth + 1)? == Found::Complete && !is_attestation(child) {
                found = Found::Complete;
            }
        }
        if found == Found::Complete {
            let parts = index.manifests.iter().map(|child| (child.digest.clone(), child.size)).collect();
            self.content.indexes.push(Document { descriptor: descriptor.clone(), bytes, parts });
        }
        Ok(found)
    }

    fn manifest(&mut self, descriptor: &Descriptor, bytes: Vec<u8>) -> Result<Found> {
        let manifest = Manifest::read(&bytes, &descriptor.media_type)?;
        let descriptors = std::iter::once(&manifest.config).chain(&manifest.layers);
        let parts = descriptors.map(|part| (part.digest.clone(), part.size)).collect();
        let document = Document { descriptor: descriptor.clone(), bytes, parts };
        if manifest.check_image().is_err() {
            // A statement about an image, or an artifact: kept with the index that names it.
            self.content.others.push(document);
            return Ok(Found::Complete);
        }
        let Some(config_bytes) = self.spool.read(&file(&manifest.config.digest), CONFIG_LIMIT)? else {
            return Ok(Found::Absent);
        };
        check_size(&manifest.config, config_bytes.len() as u64)?;
        let config = ImageConfig::read(&config_bytes)?;
        manifest.check_config(&config)?;
        if let Some(wanted) = &self.options.platform
            && Matcher::new(wanted).rank(&config.platform()).is_none()
        {
            return Ok(Found::Absent);
        }
        let mut layers = Vec::new();
        for (layer, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
            let file = file(&layer.digest);
            match self.spool.size(&file)? {
                Some(size) => check_size(layer, size)?,
                None if self.spool.file(&file).is_some() => {}
                None => return Ok(Found::Absent),
            }
            layers.push(Source { diff_id: diff_id.clone(), file });
        }
        let id = ImageId(Digest::of(&config_bytes));
        match self.content.images.iter().find(|image| image.id == id) {
            // The same image in another form.
            Some(_) => self.content.others.push(document),
            None => self.content.images.push(Wanted {
                id,
                bytes: config_bytes,
                config,
                layers,
                manifest: Some(document),
                parent: None,
            }),
        }
        Ok(Found::Complete)
    }
}

fn check_size(descriptor: &Descriptor, found: u64) -> Result<(), LoadError> {
    if found == descriptor.size {
        return Ok(());
    }
    Err(LoadError::Size { digest: descriptor.digest.clone(), expected: descriptor.size, found })
}

/// Where a layout has a blob.
pub(super) fn file(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}
