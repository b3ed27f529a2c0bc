use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{Document, DocumentError};
use super::json::{self, or_default};
use super::manifest::{check_annotations, check_head, too_many};
use super::{Descriptor, MAX_ENTRIES, MAX_MANIFEST};
use crate::{Matcher, Platform};

/// An image for several platforms: the manifest of each (image-spec `image-index.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    #[serde(rename = "schemaVersion", default)]
    pub schema_version: u32,
    #[serde(rename = "mediaType", default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(rename = "artifactType", default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// Fields that have no meaning here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Index {
    /// Reads an index that was found as `media_type`.
    pub fn read(bytes: &[u8], media_type: &str) -> Result<Self, DocumentError> {
        let document = Document::Index;
        let map = json::parse(bytes, document, MAX_MANIFEST)?;
        check_head(&map, media_type, document)?;
        let index: Self = json::typed(map, document)?;
        too_many(document, "entries", index.manifests.len(), MAX_ENTRIES)?;
        check_annotations(document, &index.annotations)?;
        let mut sizes = HashMap::new();
        for entry in &index.manifests {
            check_annotations(document, &entry.annotations)?;
            let size = *sizes.entry(&entry.digest).or_insert(entry.size);
            if size != entry.size {
                let message = format!("{} has {size} bytes and {}", entry.digest, entry.size);
                return Err(DocumentError::Field { document, field: "manifests".to_owned(), message });
            }
        }
        Ok(index)
    }

    /// The entry that fits best; of equal ones the first. Entries that do not say their platform come last.
    #[must_use]
    pub fn select(&self, matcher: &Matcher) -> Option<&Descriptor> {
        let images = || self.manifests.iter().filter(|entry| is_image(entry));
        let rank = |entry: &Descriptor| entry.platform.as_ref().and_then(|platform| matcher.rank(platform));
        let ranked = images().filter_map(|entry| rank(entry).map(|rank| (rank, entry)));
        let best = ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry);
        best.or_else(|| images().find(|entry| entry.platform.is_none()))
    }

    /// The platforms of all images here, as they are written; attestations have none.
    pub fn platforms(&self) -> impl Iterator<Item = &Platform> {
        let platforms = self.manifests.iter().filter(|entry| is_image(entry));
        platforms.filter_map(|entry| entry.platform.as_ref()).filter(|platform| !platform.is_unknown())
    }
}

/// Whether an entry leads to an image, and is not something that accompanies one.
fn is_image(entry: &Descriptor) -> bool {
    let leads = entry.kind().is_manifest() || entry.kind().is_index();
    leads && !entry.annotations.contains_key("vnd.docker.reference.type")
}
