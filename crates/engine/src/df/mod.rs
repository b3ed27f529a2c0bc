//! What takes space, and what of it nobody needs.

use std::{collections::BTreeSet, path::Path, time::Duration};

use longshore_image::{ListOptions, Summary};
use longshore_store::Ledger;
use longshore_types::DiffId;

use crate::{container::Container, image::Library};

/// Images and the layers that they have.
#[derive(Clone, Debug, Default)]
pub struct Images {
    pub images: Vec<Summary>,
    /// Unpacked bytes, each layer once.
    pub layers: u64,
}

/// A container and what it wrote.
#[derive(Clone, Debug)]
pub struct Written {
    pub container: Container,
    /// Bytes in its own layer.
    pub own: u64,
    /// Bytes in that and in the layers of its image.
    pub whole: u64,
}

/// Every byte of the data root that images and containers have.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    pub store: Ledger,
    /// In the directories of containers: logs, and files like `hosts`.
    pub containers: u64,
}

impl Library {
    /// Counts the images. Blocks.
    pub fn images_usage(&self) -> longshore_image::Result<Images> {
        let images = self.images().list(&ListOptions::default())?;
        let mut layers = BTreeSet::<DiffId>::new();
        for image in self.images().store().images()? {
            layers.extend(image.layers);
        }
        let mut bytes = 0;
        for layer in &layers {
            bytes += self.images().store().layer(layer)?.map_or(0, |layer| layer.facts.bytes);
        }
        Ok(Images { images, layers: bytes })
    }

    /// Counts what containers wrote. One that is removed meanwhile is left out. Blocks.
    pub fn containers_usage(&self) -> longshore_image::Result<Vec<Written>> {
        let store = self.images().store();
        let mut found = Vec::new();
        for container in self.containers().all() {
            let record = container.record();
            let Ok(snapshot) = store.find_snapshot(record.snapshot) else { continue };
            let Ok(usage) = snapshot.usage(Duration::ZERO) else { continue };
            let mut whole = usage.bytes;
            for layer in &record.image.layers {
                whole += store.layer(layer)?.map_or(0, |layer| layer.facts.bytes);
            }
            found.push(Written { container, own: usage.bytes, whole });
        }
        found.sort_by_key(|written| std::cmp::Reverse(written.container.record().created));
        Ok(found)
    }

    /// Counts every byte. Blocks.
    pub fn whole_usage(&self) -> longshore_image::Result<Whole> {
        let store = self.images().store().ledger(Duration::ZERO)?;
        let directory = self.containers().settings().data_root.join("containers");
        Ok(Whole { store, containers: files_below(&directory, 0) })
    }
}

/// Directories of containers are flat but for the logs of one driver.
const DEPTH: usize = 4;

/// The bytes of regular files below a directory of the engine's own. What goes meanwhile counts as nothing.
fn files_below(directory: &Path, depth: usize) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() && depth < DEPTH => files_below(&entry.path(), depth + 1),
        Ok(data) if data.is_file() => data.len(),
        _ => 0,
    });
    bytes.sum()
}
