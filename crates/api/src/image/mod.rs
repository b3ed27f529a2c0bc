//! Images on the wire.

mod inspect;
mod summary;

use std::collections::BTreeMap;

pub use inspect::{DriverData, Inspect, Metadata, RootFs};
use longshore_types::{Platform, oci::Descriptor};
use serde::Serialize;
pub use summary::Summary;

/// One manifest of an image, here or not (API 1.47 and newer).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ManifestSummary {
    #[serde(rename = "ID")]
    pub id: String,
    pub descriptor: Descriptor,
    pub available: bool,
    pub size: ManifestSize,
    pub kind: ManifestKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_data: Option<ImageData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation_data: Option<AttestationData>,
}

/// What a manifest takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ManifestSize {
    pub content: u64,
    pub total: u64,
}

/// What a manifest is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestKind {
    Image,
    Attestation,
    Unknown,
}

/// The image that a manifest is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageData {
    pub platform: Platform,
    /// IDs of the containers that use it.
    pub containers: Vec<String>,
    pub size: Unpacked,
}

/// What an unpacked image takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Unpacked {
    pub unpacked: u64,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttestationData {
    /// The digest of the manifest.
    #[serde(rename = "For")]
    pub about: String,
}

/// What a removal did: one of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Deleted {
    Untagged(String),
    Deleted(String),
}

/// What a prune did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pruned {
    /// Null when nothing was.
    pub images_deleted: Option<Vec<Deleted>>,
    pub space_reclaimed: u64,
}

/// One step of an image's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HistoryItem {
    pub comment: String,
    /// Seconds since 1970.
    pub created: i64,
    pub created_by: String,
    /// `<missing>` where the image as it was is not here.
    pub id: String,
    pub size: u64,
    pub tags: Option<Vec<String>>,
}

/// An image that a search found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SearchResult {
    pub star_count: i64,
    pub is_official: bool,
    pub name: String,
    pub is_automated: bool,
    pub description: String,
}

/// A statement about an image (API 1.55).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attestation {
    pub descriptor: Descriptor,
    pub predicate_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<serde_json::Value>,
}

/// The ID of what was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Made {
    pub id: String,
}

/// What a registry has under a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Distribution {
    pub descriptor: Descriptor,
    pub platforms: Option<Vec<Platform>>,
}

/// Labels, or null when there are none.
pub type Labels = Option<BTreeMap<String, String>>;
