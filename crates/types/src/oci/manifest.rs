use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{Document, DocumentError, shown};
use super::json::{self, or_default};
use super::media::essence;
use super::{Descriptor, ImageConfig, MAX_LABELS, MAX_LAYERS, MAX_MANIFEST, MediaKind, media_type};

/// An image for one platform: its configuration and its layers, lowest first (image-spec `manifest.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    #[serde(rename = "schemaVersion", default)]
    pub schema_version: u32,
    #[serde(rename = "mediaType", default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(rename = "artifactType", default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    pub config: Descriptor,
    #[serde(deserialize_with = "or_default")]
    pub layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// Fields that have no meaning here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Manifest {
    /// Reads a manifest that was found as `media_type`.
    pub fn read(bytes: &[u8], media_type: &str) -> Result<Self, DocumentError> {
        let document = Document::Manifest;
        let map = json::parse(bytes, document, MAX_MANIFEST)?;
        check_head(&map, media_type, document)?;
        let manifest: Self = json::typed(map, document)?;
        too_many(document, "layers", manifest.layers.len(), MAX_LAYERS)?;
        check_annotations(document, &manifest.annotations)?;
        let mut sizes = HashMap::new();
        let subject = manifest.subject.iter();
        for descriptor in manifest.layers.iter().chain([&manifest.config]).chain(subject) {
            check_annotations(document, &descriptor.annotations)?;
            let size = *sizes.entry(&descriptor.digest).or_insert(descriptor.size);
            if size != descriptor.size {
                let message = format!("{} has {size} bytes and {}", descriptor.digest, descriptor.size);
                return Err(DocumentError::Field { document, field: "layers".to_owned(), message });
            }
        }
        Ok(manifest)
    }

    /// Fails if config and layers are not those of a container image: an artifact has a manifest too.
    pub fn check_image(&self) -> Result<(), DocumentError> {
        if !self.config.kind().is_config() {
            let media_type = shown(&self.config.media_type);
            return Err(DocumentError::NotAnImage { part: "config", media_type });
        }
        match self.layers.iter().find(|layer| !layer.kind().is_layer()) {
            Some(layer) => {
                Err(DocumentError::NotAnImage { part: "layer", media_type: shown(&layer.media_type) })
            }
            None => Ok(()),
        }
    }

    /// Fails if the config does not name exactly one uncompressed layer for each layer here.
    pub fn check_config(&self, config: &ImageConfig) -> Result<(), DocumentError> {
        let (layers, diff_ids) = (self.layers.len(), config.rootfs.diff_ids.len());
        if layers == diff_ids { Ok(()) } else { Err(DocumentError::LayerCount { layers, diff_ids }) }
    }
}

/// The media type of a manifest or index whose sender did not say: its own word, or else its shape.
pub fn document_media_type(bytes: &[u8]) -> Result<String, DocumentError> {
    let map = json::parse(bytes, Document::Manifest, MAX_MANIFEST)?;
    if let Some(Value::String(own)) = map.get("mediaType") {
        return Ok(essence(own));
    }
    let found = if map.get("schemaVersion") == Some(&Value::from(1)) {
        media_type::DOCKER_SCHEMA1
    } else if map.contains_key("manifests") {
        media_type::OCI_INDEX
    } else {
        media_type::OCI_MANIFEST
    };
    Ok(found.to_owned())
}

/// Keys that decide what a document is.
const DECIDING: &[&str] =
    &["schemaVersion", "mediaType", "config", "layers", "manifests", "fsLayers", "subject"];

/// Checks what manifest and index have in common: that it is one of them, and not both.
pub(super) fn check_head(
    map: &Map<String, Value>,
    media_type: &str,
    document: Document,
) -> Result<(), DocumentError> {
    let expected = essence(media_type);
    let own = match map.get("mediaType") {
        None | Some(Value::Null) => None,
        Some(Value::String(own)) => Some(own.as_str()),
        Some(_) => {
            let message = "is no text".to_owned();
            return Err(DocumentError::Field { document, field: "mediaType".to_owned(), message });
        }
    };
    let is_schema1 = |kind| kind == MediaKind::Schema1;
    let first = map.get("schemaVersion") == Some(&Value::from(1)) || map.contains_key("fsLayers");
    if is_schema1(MediaKind::of(&expected)) || own.is_some_and(|own| is_schema1(MediaKind::of(own))) || first
    {
        let media_type = own.unwrap_or(media_type::DOCKER_SCHEMA1);
        return Err(DocumentError::Schema1 { media_type: shown(media_type) });
    }
    if let Some(key) = json::look_alike(map, DECIDING) {
        return Err(DocumentError::DuplicateKey { document, key: shown(&key) });
    }
    if map.contains_key("manifests") && (map.contains_key("layers") || map.contains_key("config")) {
        return Err(DocumentError::Ambiguous { document });
    }
    let kind = MediaKind::of(&expected);
    let fits = if document == Document::Index { kind.is_index() } else { kind.is_manifest() };
    if !fits {
        return Err(DocumentError::UnknownMediaType { document, media_type: shown(&expected) });
    }
    match own {
        Some(own) if own == expected => {}
        Some(own) => {
            return Err(DocumentError::MediaType { document, expected: shown(&expected), found: shown(own) });
        }
        None if matches!(kind, MediaKind::OciManifest | MediaKind::OciIndex) => {}
        None => return Err(DocumentError::NoMediaType { document, expected: shown(&expected) }),
    }
    // Writers that leave it out have it as 0, which Docker takes for as good: the media type has said it.
    match map.get("schemaVersion").map(Value::as_u64) {
        Some(Some(2)) => Ok(()),
        None | Some(Some(0)) if own.is_some() => Ok(()),
        _ => {
            let message = "is not 2".to_owned();
            Err(DocumentError::Field { document, field: "schemaVersion".to_owned(), message })
        }
    }
}

pub(super) fn too_many(
    document: Document,
    what: &'static str,
    count: usize,
    limit: usize,
) -> Result<(), DocumentError> {
    if count > limit { Err(DocumentError::TooMany { document, what, count, limit }) } else { Ok(()) }
}

pub(super) fn check_annotations(
    document: Document,
    annotations: &BTreeMap<String, String>,
) -> Result<(), DocumentError> {
    let bytes = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    too_many(document, "bytes of labels", bytes, MAX_LABELS)
}
