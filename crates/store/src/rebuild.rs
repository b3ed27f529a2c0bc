//! A database that is gone or unreadable, made again from what is on disk.
//!
//! Blobs are what hashes to its name. Layers are what has a card. Images are blobs that read as a configuration whose
//! layers are all here; manifests and indexes are blobs that read as such; tags and repository digests are
//! what `index.json` says. Leases are lost, and so is whose a snapshot was: its directory goes to the quarantine.

use std::collections::HashSet;

use longshore_types::{
    Algorithm, DiffId, Digest, Hasher, ImageId, Reference,
    oci::{self, ImageConfig},
};
use rusqlite::Transaction;

use crate::{
    blob, check, commit, db,
    dir::number,
    error::Result,
    image::{self, ManifestKind, NewImage, NewManifest},
    index::{self, REF_NAME, REPOSITORIES},
    layer::{self, read_card},
    recover::Recovery,
    root::Inner,
    tag::{self, Target},
};

/// The longest blob that may be a document.
const LIMIT: u64 = 8 << 20;

/// Fills an empty database. What cannot be used is put away and listed.
pub(crate) fn run(store: &Inner, recovery: &mut Recovery) -> Result<()> {
    let index = store.dirs.layout.read("index.json", index::LIMIT)?;
    let mut writer = store.db.writer();
    let transaction = db::begin(&mut writer)?;
    let documents = blobs(store, &transaction, recovery)?;
    layers(store, &transaction)?;
    let dir = &store.dirs.snapshots;
    for (name, _) in dir.entries()? {
        if number(&name).is_some() {
            check::quarantine(store, dir, &name)?;
            recovery.damaged.push(format!("snapshots/{}: its owner is not known any more", name.display()));
        }
    }
    let images = images(&transaction, &documents)?;
    manifests(&transaction, &documents, &images)?;
    if let Some(index) = index.and_then(|content| serde_json::from_slice::<index::Index>(&content).ok()) {
        tags(&transaction, &index)?;
    } else {
        recovery.damaged.push("store/index.json: tags are lost".to_owned());
    }
    db::commit(transaction)
}

/// Adopts what hashes to its name; answers those short enough to be a document.
fn blobs(
    store: &Inner,
    transaction: &Transaction<'_>,
    recovery: &mut Recovery,
) -> Result<Vec<(Digest, Vec<u8>)>> {
    let mut documents = Vec::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let dir = store.dirs.blobs(algorithm);
        for (name, _) in dir.entries()? {
            let text = format!("{}:{}", algorithm.name(), name.display());
            let Ok(digest) = text.parse::<Digest>() else { continue };
            let Some(mut file) = dir.open(&name)? else { continue };
            let mut hasher = Hasher::new(algorithm);
            let size = blob::hash(&mut file, &mut hasher).ok();
            match size.filter(|_| hasher.finish() == digest) {
                None => {
                    check::quarantine(store, dir, &name)?;
                    recovery.damaged.push(text);
                }
                Some(size) => {
                    commit::insert_blob(transaction, &digest, size)?;
                    if size <= LIMIT
                        && let Some(content) = dir.read(digest.hex(), LIMIT)?
                        && content.first() == Some(&b'{')
                    {
                        documents.push((digest, content));
                    }
                }
            }
        }
    }
    Ok(documents)
}

fn layers(store: &Inner, transaction: &Transaction<'_>) -> Result<()> {
    let dir = &store.dirs.layers;
    for (name, _) in dir.entries()? {
        let Some(id) = number(&name) else { continue };
        let layer = dir.child(&name)?;
        let Some(card) = read_card(&layer).filter(|_| layer.child("fs").is_ok()) else { continue };
        if layer::find(transaction, &card.diff_id)?.is_none() {
            layer::insert(transaction, id, &card)?;
        }
    }
    Ok(())
}

fn images(transaction: &Transaction<'_>, documents: &[(Digest, Vec<u8>)]) -> Result<HashSet<ImageId>> {
    let mut found = HashSet::new();
    for (digest, content) in documents {
        let Ok(config) = ImageConfig::read(content) else { continue };
        let layers: Vec<DiffId> = config.rootfs.diff_ids.clone();
        let has_layers = |diff_id: &DiffId| layer::find(transaction, diff_id).map(|layer| layer.is_some());
        let present: Result<Vec<bool>> = layers.iter().map(has_layers).collect();
        if present?.contains(&false) {
            continue;
        }
        let id = ImageId(digest.clone());
        let new = NewImage {
            id: id.clone(),
            layers,
            platform: config.platform(),
            created: config.created.as_deref().and_then(seconds),
            labels: config.config.labels,
            parent: None,
        };
        image::insert(transaction, &new)?;
        found.insert(id);
    }
    Ok(found)
}

fn manifests(
    transaction: &Transaction<'_>,
    documents: &[(Digest, Vec<u8>)],
    images: &HashSet<ImageId>,
) -> Result<()> {
    for (digest, content) in documents {
        let Ok(media_type) = oci::document_media_type(content) else { continue };
        let (kind, image, parts) = if let Ok(manifest) = oci::Manifest::read(content, &media_type) {
            let image = ImageId(manifest.config.digest.clone());
            let parts = std::iter::once(&manifest.config).chain(&manifest.layers);
            let parts = parts.map(|part| (part.digest.clone(), part.size)).collect();
            (ManifestKind::Manifest, images.contains(&image).then_some(image), parts)
        } else if let Ok(index) = oci::Index::read(content, &media_type) {
            let parts = index.manifests.iter().map(|part| (part.digest.clone(), part.size)).collect();
            (ManifestKind::Index, None, parts)
        } else {
            continue;
        };
        let (digest, size) = (digest.clone(), content.len() as u64);
        image::insert_manifest(transaction, &NewManifest { digest, kind, media_type, size, image, parts })?;
    }
    Ok(())
}

fn tags(transaction: &Transaction<'_>, index: &index::Index) -> Result<()> {
    for descriptor in &index.manifests {
        let Ok(digest) = descriptor.digest.parse::<Digest>() else { continue };
        let name = descriptor.annotations.get(REF_NAME).and_then(|name| Reference::parse(name).ok());
        if let Some(name) = name
            && let Some(target) = target(transaction, &digest)?
        {
            tag::insert(transaction, &name, &target)?;
        }
        let repositories = descriptor.annotations.get(REPOSITORIES).map_or("", String::as_str);
        for repository in repositories.split_whitespace() {
            let Ok(name) = Reference::parse(repository) else { continue };
            if image::find_manifest(transaction, &digest)?.is_some() {
                tag::insert_repo_digest(transaction, &name.with_digest(digest.clone()))?;
            }
        }
    }
    Ok(())
}

fn target(transaction: &Transaction<'_>, digest: &Digest) -> Result<Option<Target>> {
    if image::find_manifest(transaction, digest)?.is_some() {
        return Ok(Some(Target::Manifest(digest.clone())));
    }
    let id = ImageId(digest.clone());
    Ok(image::find(transaction, &id)?.map(|_| Target::Image(id)))
}

/// Seconds since 1970 of `2024-01-31T12:00:00.123Z` (RFC 3339), in any zone.
fn seconds(text: &str) -> Option<i64> {
    let field = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (field(0..4)?, field(5..7)?, field(8..10)?);
    let (hour, minute, second) = (field(11..13)?, field(14..16)?, field(17..19)?);
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes().first()? {
        b'+' | b'-' => {
            let minutes = zone.get(1..3)?.parse::<i64>().ok()? * 60 + zone.get(4..6)?.parse::<i64>().ok()?;
            if zone.starts_with('-') { -minutes * 60 } else { minutes * 60 }
        }
        _ => 0,
    };
    // Days from the civil calendar: years begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 153 + 2) / 5
        + day
        - 719_469;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_of_configurations() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:30:15.123456789Z", Some(951_827_415)),
            ("2024-12-31T23:59:59+01:00", Some(1_735_685_999)),
            ("1969-12-31T23:00:00-01:00", Some(0)),
            ("yesterday", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
