//! Removing what is not needed: dangling images, all unused ones, or the least recently used beyond a size.
//!
//! Docker's rules, and what it lacks: a size to come down to, a number of images to keep of each repository, a
//! dry run, and for all that stays the reason.

use std::collections::{BTreeMap, BTreeSet};

use longshore_types::{ImageId, Reference};

use crate::{
    Images, Result,
    filter::{FilterError, Filters},
    remove::{Keeper, RemoveOptions, Step, User, Users, act, plan::Plan},
    view::{Node, View},
};

/// What to prune.
#[derive(Clone, Debug, Default)]
pub struct PruneOptions {
    /// `dangling` (true unless said otherwise), `until`, `label`, `label!`.
    pub filters: Filters,
    /// Stops when the unpacked layers of all images are no more than so many bytes; least recently used go first.
    pub keep_bytes: Option<u64>,
    /// Keeps the newest so many images of each repository.
    pub keep_last: Option<usize>,
    /// Only says what would go.
    pub dry_run: bool,
}

/// What a prune did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub steps: Vec<Step>,
    /// Unpacked bytes of the layers that are gone.
    pub freed: u64,
    pub stayed: Vec<Stayed>,
}

/// An image that was not pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stayed {
    pub image: ImageId,
    pub names: Vec<Reference>,
    /// Unpacked bytes that only it has.
    pub bytes: u64,
    pub why: Why,
}

/// Why an image was not pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has a tag, and only images without were asked for.
    Tagged,
    /// Containers use it, or images that were made from it.
    Used(Vec<Keeper>),
    /// It is younger than `until`, or its labels are not those asked for.
    Filtered,
    /// It is among the newest of its repository.
    KeepLast,
    /// What is left fits.
    Fits,
}

/// The filters that prune knows.
const FILTERS: &[&str] = &["dangling", "until", "label", "label!"];

impl Images {
    /// Removes images that nobody needs. Blocks.
    pub fn prune(&self, options: &PruneOptions, users: &dyn Users) -> Result<Pruned> {
        let rules = Rules::read(options)?;
        let view = View::load(self.store())?;
        let mut plan = Plan::new(view, users);
        let stayed = decide(&mut plan, &rules, users);
        let (ops, removed) = plan.done();
        let removed = if options.dry_run { removed } else { act(self.store(), (ops, removed), false)? };
        Ok(Pruned { steps: removed.steps, freed: removed.freed, stayed })
    }
}

/// The options, read.
struct Rules<'o> {
    options: &'o PruneOptions,
    dangling: bool,
    until: Option<(i64, u32)>,
}

impl<'o> Rules<'o> {
    fn read(options: &'o PruneOptions) -> Result<Self, FilterError> {
        options.filters.check(FILTERS)?;
        let dangling = options.filters.boolean("dangling")?.unwrap_or(true);
        Ok(Self { options, dangling, until: options.filters.time("until")? })
    }

    /// Why an image is no candidate, whoever uses it.
    fn spares(&self, node: &Node, newest: &BTreeSet<ImageId>) -> Option<Why> {
        if self.dangling && !node.tags.is_empty() {
            return Some(Why::Tagged);
        }
        let young = self.until.is_some_and(|until| (node.image.created.unwrap_or(0), 0) > until);
        if young || !self.options.filters.labels(&node.image.labels) {
            return Some(Why::Filtered);
        }
        newest.contains(&node.image.id).then_some(Why::KeepLast)
    }
}

/// Plans all removals; gives what stays.
fn decide(plan: &mut Plan<'_>, rules: &Rules<'_>, users: &dyn Users) -> Vec<Stayed> {
    let newest = rules.options.keep_last.map_or_else(BTreeSet::new, |count| newest(&plan.view, count));
    let mut why = BTreeMap::new();
    let mut candidates = Vec::new();
    for (id, node) in &plan.view.images {
        match rules.spares(node, &newest) {
            Some(reason) => {
                why.insert(id.clone(), reason);
            }
            // What has children goes with the last of them.
            None if !node.is_named() && !node.children.is_empty() => {}
            None => candidates.push((last_use(node, users), id.clone())),
        }
    }
    candidates.sort();
    for (_, id) in candidates {
        if rules.options.keep_bytes.is_some_and(|limit| plan.view.total() <= limit) {
            why.insert(id, Why::Fits);
            continue;
        }
        take(plan, &id, users);
    }
    let view = &plan.view;
    let stayed = view.images.iter().map(|(id, node)| {
        let used = || Why::Used(keepers(node, &users.of(id)));
        let why = why.get(id).cloned().unwrap_or_else(used);
        let names =
            node.tags.iter().map(|tag| tag.name.clone()).chain(node.digests.iter().cloned()).collect();
        Stayed { image: id.clone(), names, bytes: view.unique(node), why }
    });
    stayed.collect()
}

/// Takes an image's names away, and itself, as far as nobody uses it.
fn take(plan: &mut Plan<'_>, id: &ImageId, users: &dyn Users) {
    let Some(node) = plan.view.images.get(id) else { return };
    let made_from: Vec<_> = users
        .of(id)
        .into_iter()
        .filter_map(|user| Some(Reference::parse(&user.made_from?).ok()?.with_default_tag()))
        .collect();
    let tags = node.tags.iter().map(|tag| tag.name.clone());
    let mut names: Vec<_> = tags.chain(node.digests.iter().cloned()).collect();
    if names.is_empty() {
        // What is used stays; the reason is found at the end.
        plan.remove_image(id, RemoveOptions::default()).ok();
        return;
    }
    // The name that a container was made from is the one to stay.
    names.sort_by_key(|name| (made_from.contains(name), name.digest().is_some()));
    for name in names {
        let there =
            plan.view.images.get(id).is_some_and(|node| {
                node.tags.iter().any(|tag| tag.name == name) || node.digests.contains(&name)
            });
        if there {
            plan.remove_name(&name, RemoveOptions::default()).ok();
        }
    }
}

/// The newest images of each repository.
fn newest(view: &View, count: usize) -> BTreeSet<ImageId> {
    let mut repositories: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
    for (id, node) in &view.images {
        let age = std::cmp::Reverse((node.image.created, node.image.stored));
        let names = node.tags.iter().map(|tag| &tag.name).chain(&node.digests);
        for name in names {
            repositories.entry(name.repository()).or_default().insert((age, id.clone()));
        }
    }
    repositories.into_values().flat_map(|images| images.into_iter().take(count)).map(|(_, id)| id).collect()
}

/// When an image was last used, tagged or stored.
fn last_use(node: &Node, users: &dyn Users) -> i64 {
    let tagged = node.tags.iter().map(|tag| tag.updated).max();
    let used = users.last_used(&node.image.id);
    used.into_iter().chain(tagged).fold(node.image.stored, i64::max)
}

fn keepers(node: &Node, users: &[User]) -> Vec<Keeper> {
    let container = |user: &User| Keeper::Container {
        id: user.id.clone(),
        name: user.name.clone(),
        running: user.running,
    };
    users.iter().map(container).chain(node.children.iter().cloned().map(Keeper::Image)).collect()
}
