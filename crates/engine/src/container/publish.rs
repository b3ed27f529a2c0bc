use std::collections::BTreeMap;

use super::Container;
use crate::event::{Events, Object};

impl Container {
    /// Tells everybody that something happened to it: with its labels, image and name, and what is `extra`.
    pub fn publish<const N: usize>(&self, events: &Events, action: &str, extra: [(&str, String); N]) {
        let record = self.record();
        let mut attributes: BTreeMap<String, String> = record.config.labels.clone().unwrap_or_default();
        if !record.config.image.is_empty() {
            attributes.insert("image".into(), record.config.image.clone());
        }
        attributes.insert("name".into(), record.name.clone());
        attributes.extend(extra.map(|(key, value)| (key.to_owned(), value)));
        events.publish(Object::Container, action, self.id().as_str(), attributes);
    }
}
