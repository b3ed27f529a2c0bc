//! What a removal takes away, decided on a view of all images and without touching any.

use std::collections::{BTreeSet, HashSet};

use longshore_store::Tag;
use longshore_types::{ChainId, DiffId, ImageId, Reference};

use super::{Keeper, Kept, RemoveError, RemoveOptions, Removed, Step, User, Users};
use crate::view::{Node, View};

/// A change of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Untag(Reference),
    /// `name@digest`.
    Forget(Reference),
    Delete(ImageId),
}

/// Removals as they are decided, one after the other, each on what those before it left.
pub(crate) struct Plan<'a> {
    pub(crate) view: View,
    users: &'a dyn Users,
    /// With the images that had the name.
    names: Vec<(Reference, Vec<ImageId>)>,
    deleted: Vec<ImageId>,
    removed: Removed,
}

/// Why an image stays.
struct Conflict {
    error: RemoveError,
    /// A container uses it.
    used: bool,
}

type Result<T = ()> = std::result::Result<T, RemoveError>;

impl<'a> Plan<'a> {
    pub(crate) fn new(view: View, users: &'a dyn Users) -> Self {
        Self { view, users, names: Vec::new(), deleted: Vec::new(), removed: Removed::default() }
    }

    /// What is to be done, and what it comes to. Names that go with their images are not taken one by one.
    pub(crate) fn done(self) -> (Vec<Op>, Removed) {
        let is_deleted = |image: &ImageId| self.deleted.contains(image);
        let names = self.names.iter().filter(|(_, images)| !images.iter().all(is_deleted));
        let names = names.map(|(name, _)| name.clone());
        let names =
            names.map(|name| if name.digest().is_some() { Op::Forget(name) } else { Op::Untag(name) });
        let ops = names.chain(self.deleted.iter().cloned().map(Op::Delete)).collect();
        (ops, self.removed)
    }

    /// Takes a name away, with the image if it was its last.
    pub(crate) fn remove_name(&mut self, name: &Reference, options: RemoveOptions) -> Result {
        let is_digest = name.digest().is_some();
        let name = match name.digest() {
            // With a digest the tag says nothing.
            Some(digest) => name.with_digest(digest.clone()),
            None => name.clone(),
        };
        let images = if is_digest { self.view.digested(&name) } else { self.view.tagged(&name) };
        if !options.force {
            for image in &images {
                self.check_last_name(image, &name)?;
            }
        }
        self.take_name(&name);
        if !is_digest {
            self.forget_repository(&name, &images);
        }
        for image in &images {
            if self.view.images.get(image).is_some_and(|node| !node.is_named()) {
                self.delete(image, options, true)?;
            }
        }
        Ok(())
    }

    /// Removes an image with all its names, if they are of one repository or it is forced.
    pub(crate) fn remove_image(&mut self, image: &ImageId, options: RemoveOptions) -> Result {
        let names = self.own_names(image);
        let repositories: BTreeSet<_> = names.iter().map(Reference::repository).collect();
        if repositories.len() <= 1 {
            if let Some(conflict) = self.conflict(image, options.force, false) {
                return Err(conflict.error);
            }
            for name in names {
                self.take_name(&name);
            }
        }
        self.delete(image, options, false)
    }

    /// The names that would go with this image: not those that another platform's image has too.
    fn own_names(&self, image: &ImageId) -> Vec<Reference> {
        let Some(node) = self.view.images.get(image) else { return Vec::new() };
        let tags = node.tags.iter().map(|tag| &tag.name).filter(|name| self.view.tagged(name).len() == 1);
        let digests = node.digests.iter().filter(|name| self.view.digested(name).len() == 1);
        let mut names: Vec<Reference> = tags.chain(digests).cloned().collect();
        // As Docker: by repository, its tags before its digests.
        names.sort_by_cached_key(ToString::to_string);
        names
    }

    /// Fails if a container uses the image and `name` is all that it is known by.
    fn check_last_name(&self, image: &ImageId, name: &Reference) -> Result {
        let Some(node) = self.view.images.get(image) else { return Ok(()) };
        let is_other_tag = |tag: &Tag| tag.name != *name;
        // Digests of a repository go with its last tag.
        let stays = |digest: &Reference| {
            let same = digest.repository() == name.repository();
            digest != name && (name.digest().is_some() || !same)
        };
        if node.tags.iter().any(is_other_tag) || node.digests.iter().any(stays) {
            return Ok(());
        }
        match self.users.of(image).first() {
            Some(user) => Err(RemoveError::ReferenceInUse {
                name: name.familiar(),
                container: short(&user.id),
                image: image.0.short().to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Takes the repository's digests from images that have no tag of it any more.
    fn forget_repository(&mut self, name: &Reference, images: &[ImageId]) {
        let repository = name.repository();
        for image in images {
            let Some(node) = self.view.images.get(image) else { continue };
            if node.tags.iter().any(|tag| tag.name.repository() == repository) {
                continue;
            }
            let gone: Vec<_> =
                node.digests.iter().filter(|digest| digest.repository() == repository).cloned().collect();
            for digest in gone {
                self.take_name(&digest);
            }
        }
    }

    /// Takes a tag or `name@digest` away, from all images that have it.
    fn take_name(&mut self, name: &Reference) {
        let images = if name.digest().is_some() { self.view.digested(name) } else { self.view.tagged(name) };
        for image in &images {
            if let Some(node) = self.view.images.get_mut(image) {
                node.tags.retain(|tag| tag.name != *name);
                node.digests.retain(|digest| digest != name);
            }
        }
        self.names.push((name.clone(), images));
        self.removed.steps.push(Step::Untagged(name.clone()));
    }

    /// Deletes an image, its layers and what it was built on. `quiet`: a name was taken away, which is something.
    fn delete(&mut self, image: &ImageId, options: RemoveOptions, quiet: bool) -> Result {
        let mut next = Some((image.clone(), options, quiet));
        while let Some((image, options, quiet)) = next.take() {
            if let Some(conflict) = self.conflict(&image, options.force, true) {
                let dangling = self
                    .view
                    .images
                    .get(&image)
                    .is_some_and(|node| !node.is_named() && node.children.is_empty());
                if quiet && (!dangling || conflict.used) {
                    self.note_kept(&image);
                    return Ok(());
                }
                return Err(conflict.error);
            }
            for name in self.own_names(&image) {
                self.take_name(&name);
            }
            let Some(node) = self.view.images.remove(&image) else { return Ok(()) };
            self.take_image(&image, &node);
            let Some(parent) = node.image.parent else { return Ok(()) };
            if let Some(node) = self.view.images.get_mut(&parent) {
                node.children.remove(&image);
                if !options.no_prune && !node.is_named() {
                    next = Some((parent, RemoveOptions::default(), true));
                }
            }
        }
        Ok(())
    }

    /// What of the image is gone now that it is out of the view.
    fn take_image(&mut self, image: &ImageId, node: &Node) {
        self.deleted.push(image.clone());
        self.removed.steps.push(Step::Deleted(image.clone()));
        let users = self.users.of(image);
        if !users.is_empty() {
            // Their file systems stand on the layers.
            self.removed.kept.push(Kept {
                image: image.clone(),
                bytes: self.view.unique(node),
                by: users.iter().map(keeper).collect(),
            });
            return;
        }
        let chains: HashSet<&ChainId> = self.view.images.values().flat_map(|other| &other.chains).collect();
        let gone: Vec<_> =
            node.chains.iter().rev().take_while(|chain| !chains.contains(chain)).cloned().collect();
        self.removed.freed += self.view.unique(node);
        self.removed.steps.extend(gone.into_iter().map(Step::DeletedLayer));
    }

    /// Why the image cannot be deleted now. `names`: having names is a reason.
    fn conflict(&self, image: &ImageId, force: bool, names: bool) -> Option<Conflict> {
        let node = self.view.images.get(image)?;
        let short_image = || image.0.short().to_owned();
        let unused = |error| Some(Conflict { error, used: false });
        if !node.children.is_empty() {
            return unused(RemoveError::Children { image: short_image() });
        }
        let users = self.users.of(image);
        if let Some(user) = users.iter().find(|user| user.running) {
            let error = RemoveError::Running { image: short_image(), container: short(&user.id) };
            return Some(Conflict { error, used: true });
        }
        if force {
            return None;
        }
        if names && !self.own_names(image).is_empty() {
            return unused(RemoveError::Repositories { image: short_image() });
        }
        let user = users.first()?;
        let error = RemoveError::Stopped { image: short_image(), container: short(&user.id) };
        Some(Conflict { error, used: true })
    }

    /// Notes that an image without a name stays.
    fn note_kept(&mut self, image: &ImageId) {
        let Some(node) = self.view.images.get(image) else { return };
        if node.is_named() {
            return;
        }
        let users = self.users.of(image);
        let children = node.children.iter().cloned().map(Keeper::Image);
        let by: Vec<_> = users.iter().map(keeper).chain(children).collect();
        let mine: BTreeSet<&DiffId> = node.image.layers.iter().collect();
        // What a child has too would not be free without it either.
        let bytes = if users.is_empty() && !by.is_empty() {
            mine.iter().filter_map(|layer| self.view.layers.get(*layer)).sum()
        } else {
            self.view.unique(node)
        };
        self.removed.kept.push(Kept { image: image.clone(), bytes, by });
    }
}

fn keeper(user: &User) -> Keeper {
    Keeper::Container { id: user.id.clone(), name: user.name.clone(), running: user.running }
}

/// As Docker shows a container's id.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
