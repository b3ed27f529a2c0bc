//! The events of images.

use std::collections::BTreeMap;

use longshore_image::Step;
use longshore_types::{ImageId, Reference};

use super::Library;
use crate::event::Object;

type Labels = BTreeMap<String, String>;

/// What of an image is told after it is gone.
pub(super) struct Known {
    names: Vec<Reference>,
    labels: Labels,
}

impl Library {
    /// Tells what happened to an image that is known as `name`.
    pub(crate) fn tell(&self, action: &str, image: &ImageId, name: &str) {
        let mut attributes = self.labels(image);
        attributes.insert("name".into(), name.into());
        self.events.publish(Object::Image, action, image.to_string(), attributes);
    }

    /// Tells what happened to a name, as Docker does of transfers: the name is what the event is about.
    pub(super) fn tell_name(&self, action: &str, name: &Reference, image: &ImageId) {
        let mut attributes = self.labels(image);
        attributes.insert("name".into(), name.familiar_repository());
        self.events.publish(Object::Image, action, name.familiar(), attributes);
    }

    fn labels(&self, image: &ImageId) -> Labels {
        self.images.store().image(image).ok().flatten().map(|image| image.labels).unwrap_or_default()
    }

    /// The images that are here before a removal.
    pub(super) fn known(&self) -> BTreeMap<ImageId, Known> {
        let store = self.images.store();
        let images = store.images().unwrap_or_default().into_iter();
        images
            .map(|image| {
                let tags = store.tags_of(&image.id).unwrap_or_default().into_iter().map(|tag| tag.name);
                let digests = store.repo_digests(&image.id).unwrap_or_default();
                (image.id, Known { names: tags.chain(digests).collect(), labels: image.labels })
            })
            .collect()
    }

    /// Tells what a removal did. `image` is what was asked for, where that is one.
    pub(super) fn tell_steps(
        &self,
        steps: &[Step],
        known: &BTreeMap<ImageId, Known>,
        image: Option<&ImageId>,
    ) {
        for step in steps {
            let (action, id) = match step {
                Step::Untagged(name) => {
                    let holder = known.iter().find(|(_, known)| known.names.contains(name));
                    match holder.map(|(id, _)| id).or(image) {
                        Some(id) => ("untag", id),
                        None => continue,
                    }
                }
                Step::Deleted(id) => ("delete", id),
                Step::DeletedLayer(_) => continue,
            };
            let mut attributes = known.get(id).map(|known| known.labels.clone()).unwrap_or_default();
            attributes.insert("name".into(), id.to_string());
            self.events.publish(Object::Image, action, id.to_string(), attributes);
        }
    }
}
