//! What images there are at one moment, with their names: what `list`, `remove` and `prune` decide on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use longshore_store::{Image, Store, Tag};
use longshore_types::{ChainId, DiffId, ImageId, Reference};

use crate::Result;

/// All images.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) images: BTreeMap<ImageId, Node>,
    /// Unpacked bytes of each layer.
    pub(crate) layers: HashMap<DiffId, u64>,
}

/// One image.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) image: Image,
    pub(crate) tags: Vec<Tag>,
    /// `name@digest`.
    pub(crate) digests: Vec<Reference>,
    pub(crate) children: BTreeSet<ImageId>,
    /// The digest of all layers up to each one, lowest first.
    pub(crate) chains: Vec<ChainId>,
}

impl View {
    pub(crate) fn load(store: &Store) -> Result<Self> {
        let mut view = Self::default();
        for layer in store.layers()? {
            view.layers.insert(layer.diff_id, layer.facts.bytes);
        }
        for image in store.images()? {
            let id = image.id.clone();
            let (tags, digests) = (store.tags_of(&id)?, store.repo_digests(&id)?);
            view.images.insert(id, Node::new(image, tags, digests));
        }
        view.link();
        Ok(view)
    }

    /// Notes at each image who says to be made from it.
    pub(crate) fn link(&mut self) {
        let made_from: Vec<_> = self
            .images
            .iter()
            .filter_map(|(id, node)| Some((node.image.parent.clone()?, id.clone())))
            .collect();
        for (parent, child) in made_from {
            if let Some(node) = self.images.get_mut(&parent) {
                node.children.insert(child);
            }
        }
    }

    /// Unpacked bytes of an image, each layer once as it is once on disk.
    pub(crate) fn size(&self, node: &Node) -> u64 {
        let layers: BTreeSet<_> = node.image.layers.iter().collect();
        layers.into_iter().filter_map(|layer| self.layers.get(layer)).sum()
    }

    /// How many images have each layer.
    pub(crate) fn layer_counts(&self) -> HashMap<&DiffId, usize> {
        let mut counts = HashMap::new();
        for node in self.images.values() {
            for layer in node.image.layers.iter().collect::<BTreeSet<_>>() {
                *counts.entry(layer).or_default() += 1;
            }
        }
        counts
    }

    /// Unpacked bytes of the layers that only this image has.
    pub(crate) fn unique(&self, node: &Node) -> u64 {
        let mine: BTreeSet<_> = node.image.layers.iter().collect();
        let is_shared = |layer: &DiffId| {
            let others = self.images.values().filter(|other| other.image.id != node.image.id);
            others.into_iter().any(|other| other.image.layers.contains(layer))
        };
        mine.into_iter().filter(|layer| !is_shared(layer)).filter_map(|layer| self.layers.get(layer)).sum()
    }

    /// Unpacked bytes of all layers of all images, each once.
    pub(crate) fn total(&self) -> u64 {
        self.layer_counts().keys().filter_map(|layer| self.layers.get(*layer)).sum()
    }

    /// The images that a tag stands for: several if it is an index with several platforms here.
    pub(crate) fn tagged(&self, name: &Reference) -> Vec<ImageId> {
        let has = |node: &Node| node.tags.iter().any(|tag| tag.name == *name);
        self.images.iter().filter(|(_, node)| has(node)).map(|(id, _)| id.clone()).collect()
    }

    /// The images that `name@digest` stands for.
    pub(crate) fn digested(&self, name: &Reference) -> Vec<ImageId> {
        let has = |node: &Node| node.digests.contains(name);
        self.images.iter().filter(|(_, node)| has(node)).map(|(id, _)| id.clone()).collect()
    }
}

impl Node {
    pub(crate) fn new(image: Image, tags: Vec<Tag>, digests: Vec<Reference>) -> Self {
        let chains =
            (1..=image.layers.len()).filter_map(|count| ChainId::of(&image.layers[..count])).collect();
        Self { image, tags, digests, children: BTreeSet::new(), chains }
    }

    pub(crate) fn is_named(&self) -> bool {
        !self.tags.is_empty() || !self.digests.is_empty()
    }
}
