//! What a user's word means: a name, a digest, an ID or the beginning of one.

use longshore_store::{Resolved, Target};
use longshore_types::{ImageId, Matcher, Platform, Reference, ReferenceError};

use crate::{Error, Images, Result};

impl Images {
    /// Finds what `word` names, in Docker's order: a whole ID or digest, a name, the beginning of an ID.
    ///
    /// Fails with Docker's `No such image`; a beginning of several IDs is said to be one.
    pub fn resolve(&self, word: &str) -> Result<Resolved> {
        match self.store().resolve(word) {
            Ok(resolved) if resolved.images.is_empty() => Err(no_such_image(word)),
            Ok(resolved) => Ok(resolved),
            Err(longshore_store::Error::NoSuchImage { .. }) => match Reference::parse(word) {
                // What could be no name of anything is the user's mistake.
                Err(error @ (ReferenceError::Uppercase { .. } | ReferenceError::Format)) => Err(error.into()),
                _ => Err(no_such_image(word)),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The one image that `word` names: of an index the one for `platform`, else for this machine, else the first.
    pub fn find(&self, word: &str, platform: Option<&Platform>) -> Result<ImageId> {
        let resolved = self.resolve(word)?;
        self.choose(&resolved.images, platform)?.ok_or_else(|| match platform {
            Some(platform) => Error::OtherPlatform { name: word.to_owned(), platform: platform.to_string() },
            None => no_such_image(word),
        })
    }

    /// The best of several images: for `platform`, which must fit; else for this machine, else the first.
    pub(crate) fn choose(&self, images: &[ImageId], platform: Option<&Platform>) -> Result<Option<ImageId>> {
        let settings = self.settings();
        let matcher = Matcher::new(platform.unwrap_or(&settings.platform));
        let mut best: Option<(usize, &ImageId)> = None;
        for id in images {
            let Some(image) = self.store().image(id)? else { continue };
            if let Some(rank) = matcher.rank(&image.platform)
                && best.is_none_or(|(found, _)| rank < found)
            {
                best = Some((rank, id));
            }
        }
        let fallback = if platform.is_none() { images.first() } else { None };
        Ok(best.map(|(_, id)| id).or(fallback).cloned())
    }

    /// What a new tag for the image is set to: the manifest that it came with, if there is just one.
    pub(crate) fn target_of(&self, image: &ImageId) -> Result<Target> {
        let manifests = self.store().manifests_of(image)?;
        Ok(match manifests.as_slice() {
            [one] => Target::Manifest(one.digest.clone()),
            _ => Target::Image(image.clone()),
        })
    }
}

/// Docker's words, with the tag that was looked for. An ID is repeated as it was given.
pub(crate) fn no_such_image(word: &str) -> Error {
    let is_id = word.strip_prefix("sha256:").unwrap_or(word).bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = match Reference::parse(word) {
        Ok(name) if !(is_id && word.starts_with("sha256:")) => name.with_default_tag().familiar(),
        _ => word.to_owned(),
    };
    longshore_store::Error::NoSuchImage { name }.into()
}
