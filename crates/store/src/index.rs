//! `store/index.json`: what the database says, for other tools and for a rebuild.
//!
//! Derived: written whole after each change, under the lock of the change, and again at open if it differs. A tag is
//! a descriptor with `org.opencontainers.image.ref.name` set to the full name, so that
//! `skopeo inspect oci:<layout>:<name>` finds it. What has no tag is listed without. A local image, which has
//! no manifest, is listed by its configuration.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::{error::Result, root::Inner};

/// The annotation that names a tag (image-spec `annotations.md`).
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Ours: the repositories that this digest was pulled from or pushed to, separated by spaces.
pub(crate) const REPOSITORIES: &str = "org.longshore.repositories";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The longest `index.json` that is read back.
pub(crate) const LIMIT: u64 = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    schema_version: u32,
    media_type: String,
    pub(crate) manifests: Vec<Descriptor>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Brings `index.json` up to date. The change is acknowledged already: a failure is made good at the next change or open.
pub(crate) fn refresh(store: &Inner, connection: &Connection) {
    if let Err(error) = write(store, connection) {
        tracing::warn!(error = &error as &dyn std::error::Error, "index.json is not up to date");
    }
}

/// Writes `index.json` if it does not say what the database says; whether it did not.
pub(crate) fn write(store: &Inner, connection: &Connection) -> Result<bool> {
    let content = make(connection)?;
    let layout = &store.dirs.layout;
    if layout.read("index.json", LIMIT)?.is_some_and(|found| found == content) {
        return Ok(false);
    }
    layout.replace("index.json", &content)?;
    Ok(true)
}

/// What `index.json` is to hold.
fn make(connection: &Connection) -> Result<Vec<u8>> {
    let mut manifests = Vec::new();
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(manifests.media_type, ?1), tags.digest, coalesce(manifests.size, blobs.size, 0), tags.name, \
         (SELECT group_concat(repository, ' ') FROM (SELECT repository FROM repo_digests \
          WHERE repo_digests.digest = tags.digest ORDER BY 1)) \
         FROM tags LEFT JOIN manifests ON manifests.digest = tags.digest \
         LEFT JOIN blobs ON blobs.digest = tags.digest \
         UNION ALL \
         SELECT media_type, digest, size, NULL, \
         (SELECT group_concat(repository, ' ') FROM (SELECT repository FROM repo_digests \
          WHERE repo_digests.digest = manifests.digest ORDER BY 1)) \
         FROM manifests WHERE digest NOT IN (SELECT digest FROM tags) \
         AND digest NOT IN (SELECT digest FROM manifest_parts) \
         ORDER BY 2, 4",
    )?;
    let mut rows = statement.query([CONFIG])?;
    while let Some(row) = rows.next()? {
        let mut annotations = BTreeMap::new();
        let name: Option<String> = row.get(3)?;
        let repositories: Option<String> = row.get(4)?;
        annotations.extend(name.map(|name| (REF_NAME.to_owned(), name)));
        annotations.extend(repositories.map(|repositories| (REPOSITORIES.to_owned(), repositories)));
        let (media_type, digest, size) = (row.get(0)?, row.get(1)?, row.get(2)?);
        manifests.push(Descriptor { media_type, digest, size, annotations });
    }
    let index = Index { schema_version: 2, media_type: INDEX.to_owned(), manifests };
    Ok(serde_json::to_vec(&index).unwrap_or_default())
}
