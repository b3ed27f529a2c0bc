use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::error::{Document, DocumentError};
use super::json::{self, or_default};
use super::manifest::{check_annotations, too_many};
use super::{MAX_CONFIG, MAX_LAYERS};
use crate::{ChainId, DiffId, Platform};

/// The most entries of an image's history.
const MAX_HISTORY: usize = 10_000;

/// What an image is: platform, defaults of its containers, layers and history (image-spec `config.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339, as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub author: String,
    #[serde(default, deserialize_with = "or_default")]
    pub architecture: String,
    #[serde(default, deserialize_with = "or_default")]
    pub os: String,
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "or_default"
    )]
    pub os_version: String,
    #[serde(
        rename = "os.features",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "or_default"
    )]
    pub os_features: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub variant: String,
    #[serde(default, deserialize_with = "or_default")]
    pub config: ContainerConfig,
    pub rootfs: RootFs,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub history: Vec<History>,
    /// Fields that have no meaning here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What containers of an image get unless they are told otherwise. Strings are the image's word: check before use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub user: String,
    /// `80/tcp` and so on; the values are empty objects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub exposed_ports: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "words")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "words")]
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "words")]
    pub shell: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_escaped: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub volumes: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub working_dir: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub stop_signal: String,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub on_build: Vec<String>,
    /// Fields that have no meaning here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How to tell whether a container works. Durations are nanoseconds; 0 is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// The layers, lowest first, by the digests of their uncompressed forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub diff_ids: Vec<DiffId>,
}

/// How a layer, or a change without one, came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub created_by: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub author: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub comment: String,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub empty_layer: bool,
    /// Fields that have no meaning here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Keys that must not come in another case; Go's reader would take them for these.
const DECIDING: &[&str] = &["config", "rootfs", "history", "architecture", "os", "variant", "created"];

impl ImageConfig {
    /// Reads the configuration of an image.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        let document = Document::Config;
        let map = json::parse(bytes, document, MAX_CONFIG)?;
        if let Some(key) = json::look_alike(&map, DECIDING) {
            return Err(DocumentError::DuplicateKey { document, key: super::error::shown(&key) });
        }
        let config: Self = json::typed(map, document)?;
        if config.rootfs.kind != "layers" {
            let message = "is not \"layers\"".to_owned();
            return Err(DocumentError::Field { document, field: "rootfs.type".to_owned(), message });
        }
        too_many(document, "layers", config.rootfs.diff_ids.len(), MAX_LAYERS)?;
        too_many(document, "steps of history", config.history.len(), MAX_HISTORY)?;
        check_annotations(document, &config.config.labels)?;
        Ok(config)
    }

    /// What the image was built for, as it is written.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: self.variant.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
        }
    }

    /// The digest of all layers together; `None` without layers.
    #[must_use]
    pub fn chain_id(&self) -> Option<ChainId> {
        ChainId::of(&self.rootfs.diff_ids)
    }
}

/// A list of words; Docker also took one string for a list of one.
fn words<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::deserialize(reader)?.map(|words| match words {
        Words::One(word) => vec![word],
        Words::Many(words) => words,
    }))
}

const fn is_zero(value: &i64) -> bool {
    *value == 0
}

const fn is_false(value: &bool) -> bool {
    !*value
}
