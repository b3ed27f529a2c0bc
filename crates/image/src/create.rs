//! What `commit` and `import` have in common: the configuration of a new image, and its name.

use longshore_store::{NewImage, Prepared, Target};
use longshore_types::{
    ImageId, Reference,
    oci::{History, ImageConfig},
    time,
};

use crate::{Images, Result, labels};

impl Images {
    /// Makes an image of this configuration, with all that is `prepared` for it, and names it.
    pub(crate) fn create(
        &self,
        config: &ImageConfig,
        parent: Option<ImageId>,
        tag: Option<&Reference>,
        mut prepared: Vec<Prepared>,
    ) -> Result<ImageId> {
        let bytes = serde_json::to_vec(config).unwrap_or_default();
        // What we write, we must be able to read.
        ImageConfig::read(&bytes)?;
        let blob = self.store().prepare_blob(&bytes)?;
        let id = ImageId(blob.digest().clone());
        prepared.push(Prepared::Blob(blob));
        prepared.push(Prepared::Image(NewImage {
            id: id.clone(),
            layers: config.rootfs.diff_ids.clone(),
            platform: config.platform(),
            created: config.created.as_deref().and_then(time::parse_rfc3339).map(|time| time.0),
            labels: labels::allowed(&config.config.labels),
            parent,
        }));
        prepared.extend(tag.map(|tag| Prepared::Tag(tag.clone(), Target::Image(id.clone()))));
        self.store().commit_all(prepared)?;
        Ok(id)
    }
}

/// A step that is done now.
pub(crate) fn step(created: &str, author: &str, created_by: &str, comment: &str, empty: bool) -> History {
    History {
        created: Some(created.to_owned()),
        author: author.to_owned(),
        created_by: created_by.to_owned(),
        comment: comment.to_owned(),
        empty_layer: empty,
        ..History::default()
    }
}
