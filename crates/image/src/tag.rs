//! Giving an image another name.

use longshore_store::{Resolved, Target};
use longshore_types::{Kind, Reference, ReferenceError};

use crate::{Images, Result};

/// Why a name cannot be given. The words are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("refusing to create a tag with a digest reference")]
    Digest,
}

impl TagError {
    /// What it means to whoever asked.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::InvalidInput
    }
}

/// Reads the name for a new tag, given as repository and tag; without a tag it is `latest`.
pub fn new_tag(repository: &str, tag: &str) -> Result<Reference, TagError> {
    let name = match Reference::parse(repository) {
        Err(ReferenceError::Empty) => return Err(ReferenceError::Format.into()),
        name => name?,
    };
    if name.digest().is_some() {
        return Err(TagError::Digest);
    }
    Ok(if tag.is_empty() { name.with_default_tag() } else { name.with_tag(tag)? })
}

impl Images {
    /// Gives what `source` names another name, which the tag may be taken from another image for. Blocks.
    pub fn tag(&self, source: &str, repository: &str, tag: &str) -> Result<Reference> {
        let name = new_tag(repository, tag)?;
        let resolved = self.resolve(source)?;
        let target = self.target(&resolved)?;
        self.store().tag(&name, target)?;
        Ok(name)
    }

    /// What a new name for it is set to. An index stays an index.
    fn target(&self, resolved: &Resolved) -> Result<Target> {
        match &resolved.target {
            Target::Image(image) => self.target_of(image),
            target => Ok(target.clone()),
        }
    }
}
