//! Removing images and names, with Docker's rules.
//!
//! A name is taken away; when it was the last one, the image goes, then its layers that nobody else has, then the
//! images that it was built on, as far as they have no name. What a container uses stays. Deciding is in `plan`,
//! on a [`View`]; acting is here.

pub(crate) mod plan;

use longshore_store::Store;
use longshore_types::{ChainId, ImageId, Kind, Reference};

use crate::{Images, Result, view::View};

/// A container that uses an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// All 64 digits.
    pub id: String,
    pub name: String,
    pub running: bool,
    /// Bytes of the image's layers that stay on disk because of it; 0 if not known.
    pub bytes: u64,
    /// The name of the image that it was made from, as it was given.
    pub made_from: Option<String>,
}

/// Knows who uses images. The engine does.
pub trait Users: Send + Sync {
    /// The containers that were made from the image.
    fn of(&self, image: &ImageId) -> Vec<User>;

    /// When the image was last used, in seconds since 1970.
    fn last_used(&self, image: &ImageId) -> Option<i64> {
        let _ = image;
        None
    }
}

/// Nobody uses anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Users for Nobody {
    fn of(&self, _: &ImageId) -> Vec<User> {
        Vec::new()
    }
}

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Removes what a stopped container uses and what has several names; only the name of what a running one uses.
    pub force: bool,
    /// Leaves the images that it was built on.
    pub no_prune: bool,
}

/// What happened, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The name as users write it.
    Untagged(Reference),
    Deleted(ImageId),
    /// A layer with all below it, as Docker names them.
    DeletedLayer(ChainId),
}

/// Why something is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    Container {
        id: String,
        name: String,
        running: bool,
    },
    /// Made from it.
    Image(ImageId),
}

/// What stayed although its name is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub image: ImageId,
    /// Unpacked bytes that would be free otherwise.
    pub bytes: u64,
    pub by: Vec<Keeper>,
}

/// What a removal did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub steps: Vec<Step>,
    pub kept: Vec<Kept>,
    /// Unpacked bytes of the layers that are gone.
    pub freed: u64,
}

impl Removed {
    /// The names that were taken away, as users write them.
    pub fn untagged(&self) -> impl Iterator<Item = String> {
        self.steps.iter().filter_map(|step| match step {
            Step::Untagged(name) => Some(name.familiar()),
            _ => None,
        })
    }

    /// The digests of the images and layers that are gone.
    pub fn deleted(&self) -> impl Iterator<Item = String> {
        self.steps.iter().filter_map(|step| match step {
            Step::Untagged(_) => None,
            Step::Deleted(image) => Some(image.to_string()),
            Step::DeletedLayer(chain) => Some(chain.to_string()),
        })
    }
}

/// Why an image was not removed. The words are Docker's, and clients know them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    #[error(
        "conflict: unable to remove repository reference {name:?} (must force) - \
         container {container} is using its referenced image {image}"
    )]
    ReferenceInUse { name: String, container: String, image: String },
    #[error(
        "conflict: unable to delete {image} (must be forced) - image is referenced in multiple repositories"
    )]
    Repositories { image: String },
    #[error(
        "conflict: unable to delete {image} (cannot be forced) - \
         image is being used by running container {container}"
    )]
    Running { image: String, container: String },
    #[error(
        "conflict: unable to delete {image} (must be forced) - \
         image is being used by stopped container {container}"
    )]
    Stopped { image: String, container: String },
    #[error("conflict: unable to delete {image} (cannot be forced) - image has dependent child images")]
    Children { image: String },
}

impl RemoveError {
    /// What it means to whoever asked.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::Conflict
    }

    /// The same, with the name as the user wrote it: without a tag if it had none.
    fn written(self, word: &str) -> Self {
        match (self, Reference::parse(word)) {
            (Self::ReferenceInUse { container, image, .. }, Ok(name)) => {
                Self::ReferenceInUse { name: name.familiar(), container, image }
            }
            (error, _) => error,
        }
    }
}

impl Images {
    /// Removes what `word` names: a name, or an image with its names. Blocks.
    pub fn remove(&self, word: &str, options: RemoveOptions, users: &dyn Users) -> Result<Removed> {
        let resolved = self.resolve(word)?;
        let view = View::load(self.store())?;
        let mut plan = plan::Plan::new(view, users);
        match resolved.name {
            Some(name) => plan.remove_name(&name, options).map_err(|error| error.written(word))?,
            None => {
                // An index by its digest is all its images.
                for image in &resolved.images {
                    plan.remove_image(image, options)?;
                }
            }
        }
        act(self.store(), plan.done(), options.force)
    }
}

/// Carries out what was decided.
pub(crate) fn act(store: &Store, (ops, removed): (Vec<plan::Op>, Removed), force: bool) -> Result<Removed> {
    for op in ops {
        match op {
            plan::Op::Untag(name) => match store.untag(&name) {
                // Somebody else was faster; it is gone all the same.
                Ok(_) | Err(longshore_store::Error::NoSuchTag { .. }) => {}
                Err(error) => return Err(error.into()),
            },
            plan::Op::Forget(name) => store.remove_repo_digest(&name)?,
            plan::Op::Delete(image) => match store.remove_image(&image, force) {
                Ok(_) | Err(longshore_store::Error::NoSuchImage { .. }) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
    Ok(removed)
}
