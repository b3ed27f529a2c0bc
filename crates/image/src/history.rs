//! How an image came to be, step by step.

use std::collections::BTreeMap;

use longshore_types::{
    DiffId, ImageId, Platform, Reference,
    oci::{History, ImageConfig},
    time,
};

use crate::{Images, Result};

/// One step, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryStep {
    /// The image as it was after this step, where it is here.
    pub id: Option<ImageId>,
    /// Seconds since 1970; 0 if the image does not say.
    pub created: i64,
    pub created_by: String,
    pub comment: String,
    /// Unpacked bytes of the layer that it made; 0 if it made none.
    pub size: u64,
    pub tags: Vec<Reference>,
}

/// The most images that are looked at on the way to the first.
const DEPTH: usize = 1000;

impl Images {
    /// The history of what `word` names; of an index, of the image for `platform`. Blocks.
    pub fn history(&self, word: &str, platform: Option<&Platform>) -> Result<Vec<HistoryStep>> {
        let id = self.find(word, platform)?;
        let config = self.config(&id)?;
        let mut sizes = BTreeMap::new();
        for layer in &config.rootfs.diff_ids {
            sizes.insert(layer.clone(), self.store().layer(layer)?.map_or(0, |layer| layer.facts.bytes));
        }
        let mut steps = steps(&config, &sizes);
        let mut length = steps.len();
        let mut next = Some((id, config));
        for _ in 0..DEPTH {
            let Some((id, config)) = next.take() else { break };
            // After so many steps the image was this one.
            length = length.min(count(&config));
            let Some(at) = steps.len().checked_sub(length) else { break };
            let Some(step) = steps.get_mut(at) else { break };
            if step.id.is_none() {
                step.id = Some(id.clone());
                step.tags = self.store().tags_of(&id)?.into_iter().map(|tag| tag.name).collect();
            }
            let Some(parent) = self.store().image(&id)?.and_then(|image| image.parent) else { break };
            if self.store().image(&parent)?.is_none() {
                break;
            }
            // A parent that cannot be read ends what is known, and not the history.
            next = self.config(&parent).ok().map(|config| (parent, config));
        }
        Ok(steps)
    }
}

/// How many steps are shown of an image.
fn count(config: &ImageConfig) -> usize {
    let made = config.history.iter().filter(|step| !step.empty_layer).count();
    config.history.len() + config.rootfs.diff_ids.len().saturating_sub(made)
}

/// The steps of a configuration, newest first. Layers that the history leaves out are steps that say nothing;
/// steps whose layers are not there have no size.
fn steps(config: &ImageConfig, sizes: &BTreeMap<DiffId, u64>) -> Vec<HistoryStep> {
    let mut layers = config.rootfs.diff_ids.iter();
    let mut size = || layers.next().and_then(|layer| sizes.get(layer)).copied();
    let mut steps: Vec<_> = config
        .history
        .iter()
        .map(|step| {
            let size = if step.empty_layer { 0 } else { size().unwrap_or(0) };
            HistoryStep {
                created: created(step),
                created_by: step.created_by.clone(),
                comment: step.comment.clone(),
                size,
                ..HistoryStep::default()
            }
        })
        .collect();
    let whole = config.created.as_deref().and_then(time::parse_rfc3339).map_or(0, |time| time.0);
    while let Some(size) = size() {
        steps.push(HistoryStep { created: whole, size, ..HistoryStep::default() });
    }
    steps.reverse();
    steps
}

fn created(step: &History) -> i64 {
    step.created.as_deref().and_then(time::parse_rfc3339).map_or(0, |time| time.0)
}
