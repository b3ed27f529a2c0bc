//! Images into an archive that everybody loads: an OCI layout that is Docker's own form as well.
//!
//! ```text
//! blobs/sha256/<hex>   manifests, indexes, configurations, layers: each once, sorted
//! index.json           a manifest or index for each name, with the name as containerd and skopeo look for it
//! manifest.json        the same for Docker, of an index the image for this machine
//! oci-layout
//! repositories         the same for Docker before 1.10
//! ```
//!
//! Manifests are those that the images came with, byte for byte, as long as the blobs that they name can be had. A
//! layer without a compressed form goes in as it is, under a manifest that says so. The same images give the same
//! bytes each time: nothing has a time or an owner.

mod plan;
mod write;

use std::io::Write;

use longshore_archive::tar::WriteError;
use longshore_store::{Life, Target};
use longshore_types::{DiffId, Digest, ImageId, Kind, Platform, Reference};

use crate::{Error, Images, Result};
use plan::Plan;

/// How to save.
#[derive(Clone, Debug, Default)]
pub struct SaveOptions {
    /// Of an index only the image for this platform.
    pub platform: Option<Platform>,
}

/// Why nothing, or not all, was saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("read layer {diff_id}")]
    Layer { diff_id: DiffId, source: std::io::Error },
    #[error("image {image} is damaged: pull or load it again")]
    Damaged { image: ImageId },
    #[error("blob {digest} has a digest that archives cannot hold")]
    Algorithm { digest: Digest },
}

impl SaveError {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Write(error) => error.kind(),
            Self::Layer { .. } | Self::Damaged { .. } => Kind::Internal,
            Self::Algorithm { .. } => Kind::Unsupported,
        }
    }
}

/// One thing to be saved, with its names.
#[derive(Clone, Debug)]
struct Item {
    target: Target,
    images: Vec<ImageId>,
    tags: Vec<Reference>,
}

impl Images {
    /// Writes images to an archive: by name with tag, by name for all its tags, by ID without a name. Blocks.
    ///
    /// Everything is found before the first byte is written.
    pub fn save(&self, words: &[String], options: &SaveOptions, out: impl Write) -> Result<()> {
        let lease = self.store().lease("save", Life::Process)?;
        let mut plan = Plan::new(self, &lease);
        for item in self.items(words)? {
            plan.add(&item, options)?;
        }
        plan.write(out)
    }

    fn items(&self, words: &[String]) -> Result<Vec<Item>> {
        let mut items: Vec<Item> = Vec::new();
        let mut add = |target: Target, images: Vec<ImageId>, tag: Option<Reference>| {
            let item = match items.iter_mut().position(|item| item.target == target) {
                Some(at) => &mut items[at],
                None => {
                    items.push(Item { target, images, tags: Vec::new() });
                    let last = items.len() - 1;
                    &mut items[last]
                }
            };
            if let Some(tag) = tag.filter(|tag| !item.tags.contains(tag)) {
                item.tags.push(tag);
            }
        };
        for word in words {
            let all = self.tags_of_repository(word)?;
            if all.is_empty() {
                let resolved = self.resolve(word).map_err(|error| as_given(error, word))?;
                let tag = resolved.name.filter(|name| name.digest().is_none());
                add(resolved.target, resolved.images, tag);
            }
            for name in all {
                let resolved = self.store().resolve(&name.to_string())?;
                add(resolved.target, resolved.images, Some(name));
            }
        }
        Ok(items)
    }

    /// The tags of a name that has none itself.
    fn tags_of_repository(&self, word: &str) -> Result<Vec<Reference>> {
        let Ok(name) = Reference::parse(word) else { return Ok(Vec::new()) };
        if name.tag().is_some() || name.digest().is_some() {
            return Ok(Vec::new());
        }
        let repository = name.repository();
        let tags = self.store().tags()?.into_iter().map(|tag| tag.name);
        Ok(tags.filter(|tag| tag.repository() == repository).collect())
    }
}

/// Docker repeats the name as it was given here, and nowhere else.
fn as_given(error: Error, word: &str) -> Error {
    match error {
        Error::Store(longshore_store::Error::NoSuchImage { .. }) => {
            longshore_store::Error::NoSuchImage { name: word.to_owned() }.into()
        }
        error => error,
    }
}
