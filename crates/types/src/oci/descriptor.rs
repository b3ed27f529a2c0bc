use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value};

use super::{MediaKind, json::or_default};
use crate::{Digest, Platform};

/// Names content by type, digest and size (image-spec `descriptor.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    #[serde(rename = "mediaType", default)]
    pub media_type: String,
    pub digest: Digest,
    /// Bytes, below 2^63.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// Where else the content could be had. Nobody follows them unless told to: see the registry's options.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub urls: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    #[serde(rename = "artifactType", default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Fields that have no meaning here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Descriptor {
    /// A descriptor of `size` bytes and nothing else known of them.
    #[must_use]
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            artifact_type: None,
            platform: None,
            other: Map::new(),
        }
    }

    /// The descriptor of `content`.
    #[must_use]
    pub fn of(media_type: impl Into<String>, content: &[u8]) -> Self {
        Self::new(media_type, Digest::of(content), content.len() as u64)
    }

    /// What its media type stands for.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        MediaKind::of(&self.media_type)
    }
}

fn size<'de, D: Deserializer<'de>>(reader: D) -> Result<u64, D::Error> {
    let size = i64::deserialize(reader)?;
    u64::try_from(size).map_err(|_| D::Error::custom(format_args!("size {size} is negative")))
}
