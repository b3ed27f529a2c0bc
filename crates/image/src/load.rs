//! Images out of an archive: what `docker save` writes in any version, an OCI layout, or both at once.
//!
//! The archive is a stream, and what says which files are layers may come last. So all that can be a layer is
//! written below the store's `ingest/` first, where it is counted and deleted with the process's end at the latest
//! (`spool`). Then the documents are read (`docker`, `oci`), and all images become visible at once or none does
//! (`store`). In memory there are the documents and small files, to a limit.
//!
//! ```text
//! bytes ─▶ decompress ─▶ tar ─▶ Spool ─▶ [Wanted] ─▶ unpack layers ─▶ Store::commit_all
//! ```
//!
//! Names in the archive are keys and never paths: nothing is opened by them.

mod docker;
mod error;
mod oci;
mod spool;
mod store;

use std::io::Read;

use longshore_types::{DiffId, ImageId, Platform, Progress, Reference, oci::ImageConfig};

pub use error::LoadError;

use crate::{Images, Result};
use spool::Spool;

/// How to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Of an index only what fits this platform.
    pub platform: Option<Platform>,
}

/// An image that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub image: ImageId,
    /// The names that it has from the archive.
    pub tags: Vec<Reference>,
}

/// An image as the archive describes it.
#[derive(Debug)]
struct Wanted {
    id: ImageId,
    /// The bytes of the configuration, which `id` is the digest of.
    bytes: Vec<u8>,
    config: ImageConfig,
    /// Where each layer is, lowest first.
    layers: Vec<Source>,
    /// The manifest that names it, if the archive has one.
    manifest: Option<Document>,
    parent: Option<ImageId>,
}

/// Where a layer is in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    diff_id: DiffId,
    /// The key in the spool.
    file: String,
}

/// A manifest or index of the archive.
#[derive(Clone, Debug)]
struct Document {
    descriptor: longshore_types::oci::Descriptor,
    bytes: Vec<u8>,
    /// What it names.
    parts: Vec<(longshore_types::Digest, u64)>,
}

/// Everything that the archive describes.
#[derive(Debug, Default)]
struct Content {
    images: Vec<Wanted>,
    indexes: Vec<Document>,
    /// Manifests that are no images, with the blobs that they name.
    others: Vec<Document>,
    /// Names, and what they stand for.
    tags: Vec<(Reference, Named)>,
}

/// What a name of the archive stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Image(ImageId),
    Document(longshore_types::Digest),
}

impl Content {
    /// Adds a name. One that stands for two things is refused, since which one it means would be a guess.
    fn tag(&mut self, name: Reference, named: Named) -> Result<(), LoadError> {
        match self.tags.iter().find(|(found, _)| *found == name) {
            None => self.tags.push((name, named)),
            Some((_, found)) if *found == named => {}
            Some(_) => return Err(LoadError::TagTwice { name: name.familiar() }),
        }
        Ok(())
    }
}

impl Images {
    /// Loads all images of an archive, which may be compressed. Blocks.
    ///
    /// Progress tells of layers that are new, then of the names as Docker does. After an error nothing of the
    /// archive stays.
    pub fn load(
        &self,
        archive: impl Read,
        options: &LoadOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Loaded>> {
        let mut spool = Spool::new(self.store())?;
        spool.fill(archive, &self.settings().limits)?;
        let content = self.understand(&spool, options)?;
        self.store_loaded(content, spool, progress)
    }

    fn understand(&self, spool: &Spool, options: &LoadOptions) -> Result<Content> {
        let mut content = Content::default();
        let is_layout = spool.document("oci-layout").is_some() && spool.document("index.json").is_some();
        let has_manifest = spool.document("manifest.json").is_some();
        if is_layout {
            oci::read(spool, options, !has_manifest, &mut content)?;
        } else if !has_manifest {
            return Err(LoadError::NoImages.into());
        }
        if has_manifest {
            docker::read(spool, options, is_layout, &mut content)?;
        }
        Ok(content)
    }
}
