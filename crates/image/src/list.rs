//! The images that are here, as users look at them.

use std::collections::BTreeMap;

use longshore_store::Target;
use longshore_types::{ImageId, Reference, oci::Descriptor, time};

use crate::{
    Images, ManifestSummary, Result,
    filter::{Filters, reference_matches},
    view::{Node, View},
};

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Also images without a name that others were made from, and those of an index for other platforms.
    pub all: bool,
    /// `dangling`, `label`, `before`, `since`, `reference`, `until`.
    pub filters: Filters,
    /// Also the state of each platform.
    pub manifests: bool,
}

/// One image of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub id: ImageId,
    pub parent: Option<ImageId>,
    pub tags: Vec<Reference>,
    /// `name@digest`.
    pub digests: Vec<Reference>,
    /// When it was built, as it says: seconds since 1970.
    pub created: Option<i64>,
    /// Unpacked bytes, each layer once.
    pub size: u64,
    /// Of that, in layers that other images have too.
    pub shared: u64,
    pub labels: BTreeMap<String, String>,
    pub descriptor: Option<Descriptor>,
    /// Empty unless it was asked for.
    pub manifests: Vec<ManifestSummary>,
}

impl Summary {
    /// Bytes in layers that no other image has.
    #[must_use]
    pub fn unique(&self) -> u64 {
        self.size - self.shared
    }
}

/// The filters that a list knows.
const FILTERS: &[&str] = &["dangling", "label", "before", "since", "reference", "until"];

impl Images {
    /// The images that fit, newest first. Blocks.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<Summary>> {
        let rules = Rules::read(self, options)?;
        let view = View::load(self.store())?;
        let counts = view.layer_counts();
        let mut found = Vec::new();
        for node in view.images.values() {
            if !self.fits(&rules, node)? {
                continue;
            }
            let Some((tags, digests)) = self.shown(&rules, &view, node)? else { continue };
            let layers: std::collections::BTreeSet<_> = node.image.layers.iter().collect();
            let is_shared =
                |layer: &&longshore_types::DiffId| counts.get(*layer).is_some_and(|count| *count > 1);
            let shared =
                layers.into_iter().filter(is_shared).filter_map(|layer| view.layers.get(layer)).sum();
            let target = self.shown_target(node, &tags)?;
            found.push(Summary {
                id: node.image.id.clone(),
                parent: node.image.parent.clone(),
                tags,
                digests,
                created: node.image.created,
                size: view.size(node),
                shared,
                labels: node.image.labels.clone(),
                descriptor: self.descriptor(&target)?,
                manifests: if options.manifests { self.manifests(&target)? } else { Vec::new() },
            });
        }
        found.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(found)
    }

    /// Whether an image fits by itself, whatever its names.
    fn fits(&self, rules: &Rules<'_>, node: &Node) -> Result<bool> {
        if !rules.options.filters.labels(&node.image.labels) {
            return Ok(false);
        }
        if rules.before.is_none() && rules.since.is_none() {
            return Ok(true);
        }
        let created = self.created(&node.image.id)?;
        Ok(rules.before.is_none_or(|limit| created.is_some_and(|created| created < limit))
            && rules.since.is_none_or(|limit| created.is_some_and(|created| created > limit)))
    }

    /// When an image was built, to the nanosecond: the store has whole seconds, its configuration has the rest.
    fn created(&self, image: &ImageId) -> Result<Option<(i64, u32)>> {
        Ok(self.config(image)?.created.as_deref().and_then(time::parse_rfc3339))
    }

    /// The names to show an image with; nothing if it is not to be shown.
    fn shown(
        &self,
        rules: &Rules<'_>,
        view: &View,
        node: &Node,
    ) -> Result<Option<(Vec<Reference>, Vec<Reference>)>> {
        let (mut tags, mut digests) = (Vec::new(), Vec::new());
        let mut elsewhere = false;
        let all_tags = node.tags.iter().map(|tag| &tag.name);
        for name in all_tags.chain(&node.digests) {
            let is_digest = name.digest().is_some();
            let holders = if is_digest { view.digested(name) } else { view.tagged(name) };
            // A name of several images is shown at the one that it would run.
            let here = holders.len() < 2 || self.choose(&holders, None)?.as_ref() == Some(&node.image.id);
            if !here && !rules.options.all {
                elsewhere = true;
            } else if rules.matches(name)? {
                if is_digest { digests.push(name.clone()) } else { tags.push(name.clone()) }
            }
        }
        let is_named = !tags.is_empty() || !digests.is_empty();
        let hidden = if is_named {
            rules.dangling == Some(true) && !tags.is_empty()
                || rules.dangling == Some(false) && tags.is_empty()
        } else {
            let is_intermediate =
                !node.children.is_empty() && (!rules.options.all || rules.dangling == Some(true));
            elsewhere
                || rules.has_reference()
                || node.is_named()
                || is_intermediate
                || rules.dangling == Some(false)
        };
        Ok((!hidden).then_some((tags, digests)))
    }

    /// What the first of the names stands for.
    fn shown_target(&self, node: &Node, names: &[Reference]) -> Result<Target> {
        let named = names.first().and_then(|name| node.tags.iter().find(|tag| tag.name == *name));
        match named {
            Some(tag) if matches!(tag.target, Target::Manifest(_)) => Ok(tag.target.clone()),
            _ => self.target_of(&node.image.id),
        }
    }
}

/// The options, read.
struct Rules<'o> {
    options: &'o ListOptions,
    dangling: Option<bool>,
    /// Of `before` and `until`, of which all count.
    before: Option<(i64, u32)>,
    since: Option<(i64, u32)>,
}

impl<'o> Rules<'o> {
    fn read(images: &Images, options: &'o ListOptions) -> Result<Self> {
        let filters = &options.filters;
        filters.check(FILTERS)?;
        for pattern in filters.get("reference") {
            crate::filter::matches(pattern, "")?;
        }
        let created = |name: &str| -> Result<Vec<(i64, u32)>> {
            let mut times = Vec::new();
            for word in filters.get(name) {
                times.extend(images.created(&images.find(word, None)?)?);
            }
            Ok(times)
        };
        Ok(Self {
            options,
            dangling: filters.boolean("dangling")?,
            before: created("before")?.into_iter().chain(filters.times("until")?).min(),
            since: created("since")?.into_iter().max(),
        })
    }

    fn has_reference(&self) -> bool {
        !self.options.filters.get("reference").is_empty()
    }

    /// Whether one of the patterns fits, if there are any.
    fn matches(&self, name: &Reference) -> Result<bool> {
        let patterns = self.options.filters.get("reference");
        let mut fits = patterns.is_empty();
        for pattern in patterns {
            fits |= reference_matches(pattern, name)?;
        }
        Ok(fits)
    }
}
