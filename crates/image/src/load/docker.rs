//! `manifest.json`, as Docker writes it since 1.10.

use longshore_types::{Digest, ImageId, Matcher, Reference, oci::ImageConfig};
use serde::Deserialize;

use super::{
    Content, LoadOptions, Named, Source, Wanted,
    error::{LoadError, shown},
    spool::Spool,
};
use crate::{Result, inspect::CONFIG_LIMIT};

const NAME: &str = "manifest.json";
/// Images of one archive.
const IMAGES: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
    #[serde(default)]
    parent: Option<String>,
}

/// Reads what the archive has in Docker's form. With `names_only` the images are those of its other form, as far as they are there.
pub(super) fn read(
    spool: &Spool,
    options: &LoadOptions,
    names_only: bool,
    content: &mut Content,
) -> Result<()> {
    let bytes = spool.document(NAME).unwrap_or_default();
    let items: Vec<Item> =
        serde_json::from_slice(bytes).map_err(|source| LoadError::Json { name: NAME, source })?;
    if items.len() > IMAGES {
        return Err(LoadError::TooMany { what: "images", limit: IMAGES as u64 }.into());
    }
    for item in items {
        let file = spool.resolve(&item.config, NAME)?;
        if spool.file(&item.config).is_none() && file != item.config.trim_start_matches("./") {
            return Err(LoadError::Link { name: shown(&item.config), wrong: "to a configuration" }.into());
        }
        let missing = || LoadError::Missing { by: NAME, name: shown(&item.config) };
        let bytes = spool.read(&file, CONFIG_LIMIT)?.ok_or_else(missing)?;
        let id = ImageId(Digest::of(&bytes));
        let known = content.images.iter().any(|image| image.id == id);
        let wanted = if names_only && known {
            true
        } else {
            let config = ImageConfig::read(&bytes)?;
            let fits = options
                .platform
                .as_ref()
                .is_none_or(|platform| Matcher::new(platform).rank(&config.platform()).is_some());
            if fits && !known {
                content.images.push(image(spool, &item, id.clone(), bytes, config)?);
            }
            fits
        };
        for tag in item.repo_tags.into_iter().flatten().filter(|_| wanted) {
            let name = parse_tag(&tag)?;
            // The other form says it with the manifest's digest, which says more.
            let said = content.tags.iter().any(|(found, named)| {
                *found == name && matches!(named, Named::Document(digest) if content.leads_to(digest, &id))
            });
            if !said {
                content.tag(name, Named::Image(id.clone()))?;
            }
        }
    }
    Ok(())
}

fn image(spool: &Spool, item: &Item, id: ImageId, bytes: Vec<u8>, config: ImageConfig) -> Result<Wanted> {
    let files = item.layers.as_deref().unwrap_or_default();
    let diff_ids = &config.rootfs.diff_ids;
    if files.len() != diff_ids.len() {
        let (layers, diff_ids) = (files.len(), diff_ids.len());
        return Err(LoadError::LayerCount { image: id.0, layers, diff_ids }.into());
    }
    let layers = files
        .iter()
        .zip(diff_ids)
        .map(|(file, diff_id)| Ok(Source { diff_id: diff_id.clone(), file: spool.resolve(file, NAME)? }));
    let layers = layers.collect::<Result<_, LoadError>>()?;
    let parent = item.parent.as_ref().and_then(|parent| parent.parse().ok()).map(ImageId);
    Ok(Wanted { id, bytes, config, layers, manifest: None, parent })
}

fn parse_tag(text: &str) -> Result<Reference, LoadError> {
    let bad = |source| LoadError::Tag { name: shown(text), source };
    let name = Reference::parse(text).map_err(|source| bad(Some(source)))?;
    if name.tag().is_none() || name.digest().is_some() {
        return Err(bad(None));
    }
    Ok(name)
}

impl Content {
    /// Whether a manifest or index names the image.
    fn leads_to(&self, digest: &Digest, id: &ImageId) -> bool {
        let manifest =
            |image: &Wanted| image.manifest.as_ref().map(|manifest| manifest.descriptor.digest.clone());
        let image = self.images.iter().find(|image| image.id == *id);
        let Some(manifest) = image.and_then(manifest) else { return false };
        let names = |index: &super::Document| index.parts.iter().any(|(part, _)| *part == manifest);
        manifest == *digest
            || self.indexes.iter().any(|index| index.descriptor.digest == *digest && names(index))
    }
}
