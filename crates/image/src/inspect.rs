//! All that is known of one image.

use std::path::PathBuf;

use longshore_store::{Sizes, State};
use longshore_types::{
    ChainId, DiffId, ImageId, Platform, Reference,
    oci::{Descriptor, ImageConfig},
};
use serde_json::Value;

use crate::{Images, ManifestSummary, Result};

/// The most bytes of a configuration that are read.
pub(crate) const CONFIG_LIMIT: u64 = 8 << 20;

/// An image in all detail.
#[derive(Clone, Debug)]
pub struct Details {
    pub id: ImageId,
    pub tags: Vec<Reference>,
    pub digests: Vec<Reference>,
    pub parent: Option<ImageId>,
    /// The configuration, typed; fields that only Docker knows are in `other`.
    pub config: ImageConfig,
    /// What it takes; `total` is what Docker calls its size.
    pub sizes: Sizes,
    /// Lowest first.
    pub layers: Vec<LayerDetails>,
    /// When a tag of it was set last: seconds since 1970.
    pub last_tagged: Option<i64>,
    /// What the word that was asked for stands for.
    pub descriptor: Option<Descriptor>,
    pub manifests: Vec<ManifestSummary>,
    pub state: State,
}

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerDetails {
    pub diff_id: DiffId,
    pub chain_id: ChainId,
    /// Unpacked bytes.
    pub bytes: u64,
    /// Its directory, in overlay form; absent if it is damaged.
    pub dir: Option<PathBuf>,
}

impl Details {
    /// The message of a commit or import: the configuration's, else that of the last step.
    #[must_use]
    pub fn comment(&self) -> &str {
        let own = self.text("comment");
        if !own.is_empty() {
            return own;
        }
        self.config.history.last().map_or("", |step| step.comment.as_str())
    }

    /// The container that it was committed from.
    #[must_use]
    pub fn container(&self) -> &str {
        self.text("container")
    }

    /// The version of the engine that made it.
    #[must_use]
    pub fn docker_version(&self) -> &str {
        self.text("docker_version")
    }

    /// The configuration of the container that it was committed from.
    #[must_use]
    pub fn container_config(&self) -> Option<&Value> {
        self.config.other.get("container_config")
    }

    fn text(&self, key: &str) -> &str {
        self.config.other.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Images {
    /// All that is known of the image that `word` names; of an index, of the image for `platform`. Blocks.
    pub fn inspect(&self, word: &str, platform: Option<&Platform>) -> Result<Details> {
        let resolved = self.resolve(word)?;
        let id = self.find(word, platform)?;
        let store = self.store();
        let image = store.image(&id)?.ok_or_else(|| crate::resolve::no_such_image(word))?;
        let tags = store.tags_of(&id)?;
        let mut layers = Vec::new();
        for (position, diff_id) in image.layers.iter().enumerate() {
            let layer = store.layer(diff_id)?;
            let Some(chain_id) = ChainId::of(&image.layers[..=position]) else { continue };
            layers.push(LayerDetails {
                diff_id: diff_id.clone(),
                chain_id,
                bytes: layer.as_ref().map_or(0, |layer| layer.facts.bytes),
                dir: layer.map(|layer| store.root().join("layers").join(layer.id.to_string()).join("fs")),
            });
        }
        Ok(Details {
            config: self.config(&id)?,
            sizes: store.image_size(&id)?,
            last_tagged: tags.iter().map(|tag| tag.updated).max(),
            tags: tags.into_iter().map(|tag| tag.name).collect(),
            digests: store.repo_digests(&id)?,
            parent: image.parent,
            layers,
            descriptor: self.descriptor(&resolved.target)?,
            manifests: self.manifests(&resolved.target)?,
            state: image.state,
            id,
        })
    }

    /// The configuration of an image.
    pub fn config(&self, id: &ImageId) -> Result<ImageConfig> {
        Ok(ImageConfig::read(&self.store().read_blob(&id.0, CONFIG_LIMIT)?)?)
    }
}
