//! Labels that come with an image.
//!
//! The engine keeps its own marks on things as labels in namespaces of its own. An image is a stranger's: a label
//! of it in one of those would be an order to the engine. So they are dropped on the way in; the configuration
//! itself stays as it came, since its digest is the image's ID.

use std::collections::BTreeMap;

/// Where the engine's own labels begin.
pub const RESERVED: &[&str] = &["longshore.", "io.longshore."];

/// Whether only the engine may set the label.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED
        .iter()
        .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}

/// The labels that an image may have.
#[must_use]
pub fn allowed(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels
        .iter()
        .filter(|(name, _)| !is_reserved(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The labels of an image that are dropped.
pub fn dropped(labels: &BTreeMap<String, String>) -> impl Iterator<Item = &str> {
    labels.keys().map(String::as_str).filter(|name| is_reserved(name))
}

#[cfg(test)]
mod tests {
    use super::{allowed, is_reserved};

    #[test]
    fn a2_78_reserved_labels_are_dropped() {
        for name in ["longshore.restart", "io.longshore.x", "LongShore.logger"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["longshore", "com.longshore.x", "é", "", "maintainer"] {
            assert!(!is_reserved(name), "{name}");
        }
        let labels = [("a", "1"), ("longshore.runtime", "evil")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(allowed(&labels).into_keys().collect::<Vec<_>>(), ["a"]);
    }
}
