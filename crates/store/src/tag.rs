//! Names of images: tags, repository digests, and what a user's word may mean.

use longshore_types::{Algorithm, Digest, ImageId, Reference};
use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::{
    commit::Prepared,
    db,
    error::{Error, Result},
    image::{self, ManifestKind},
    index,
    root::Store,
};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The digest of a manifest or an index.
    Manifest(Digest),
    /// A local image that has no manifest.
    Image(ImageId),
}

impl Target {
    /// The digest that is written down for it.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Manifest(digest) | Self::Image(ImageId(digest)) => digest,
        }
    }
}

/// A tag and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub name: Reference,
    pub target: Target,
    /// When it was set: seconds since 1970.
    pub updated: i64,
}

/// What a user's word means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The full name, when it was one.
    pub name: Option<Reference>,
    pub target: Target,
    /// The images that are here: one, or those of an index in its order.
    pub images: Vec<ImageId>,
}

impl Store {
    /// Makes `name` stand for `target`, whatever it stood for before.
    pub fn tag(&self, name: &Reference, target: Target) -> Result<()> {
        self.commit_all(vec![Prepared::Tag(name.clone(), target)])
    }

    /// Takes the tag away, and says what it stood for. The image stays.
    pub fn untag(&self, name: &Reference) -> Result<Target> {
        let key = tag_name(name)?;
        let mut writer = self.0.db.writer();
        let transaction = db::begin(&mut writer)?;
        let target = find(&transaction, &key)?.ok_or_else(|| Error::NoSuchTag { name: name.familiar() })?;
        transaction.prepare_cached("DELETE FROM tags WHERE name = ?1")?.execute([&key])?;
        db::commit(transaction)?;
        index::refresh(&self.0, &writer);
        Ok(target)
    }

    /// What a tag stands for.
    pub fn tagged(&self, name: &Reference) -> Result<Option<Target>> {
        let key = tag_name(name)?;
        self.0.db.read(|connection| find(connection, &key))
    }

    /// All tags, by name.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        self.0.db.read(|connection| tags_where(connection, "", []))
    }

    /// The tags of an image: its own, those of its manifests, and those of indexes that name one of them.
    pub fn tags_of(&self, id: &ImageId) -> Result<Vec<Tag>> {
        self.0.db.read(|connection| {
            let clause = format!("WHERE digest IN ({OF_IMAGE})");
            tags_where(connection, &clause, [id.0.as_str()])
        })
    }

    /// `name@digest` of an image, as pulled or pushed.
    pub fn repo_digests(&self, id: &ImageId) -> Result<Vec<Reference>> {
        self.0.db.read(|connection| {
            let sql = format!(
                "SELECT repository || '@' || digest FROM repo_digests WHERE digest IN ({OF_IMAGE}) ORDER BY 1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([id.0.as_str()], |row| row.get::<_, String>(0))?;
            rows.map(|text| reference(&text?)).collect()
        })
    }

    /// Whether `name@digest` was pulled or pushed.
    pub fn has_repo_digest(&self, name: &Reference) -> Result<bool> {
        let digest = name.digest().ok_or_else(|| no_tag(name, "no digest"))?;
        self.0.db.read(|connection| {
            let sql = "SELECT 1 FROM repo_digests WHERE repository = ?1 AND digest = ?2";
            Ok(connection.prepare_cached(sql)?.exists((name.repository(), digest.as_str()))?)
        })
    }

    /// Forgets `name@digest`.
    pub fn remove_repo_digest(&self, name: &Reference) -> Result<()> {
        let digest = name.digest().ok_or_else(|| no_tag(name, "no digest"))?;
        let mut writer = self.0.db.writer();
        let transaction = db::begin(&mut writer)?;
        transaction
            .prepare_cached("DELETE FROM repo_digests WHERE repository = ?1 AND digest = ?2")?
            .execute((name.repository(), digest.as_str()))?;
        db::commit(transaction)?;
        index::refresh(&self.0, &writer);
        Ok(())
    }

    /// Finds what a user's word means, in Docker's order: a whole ID or digest, a name with tag or digest, the
    /// beginning of an ID.
    pub fn resolve(&self, word: &str) -> Result<Resolved> {
        self.0.db.read(|connection| resolve(connection, word))
    }
}

/// The digests that an image goes by: `?1`, its manifests, and indexes of those.
pub(crate) const OF_IMAGE: &str = "SELECT ?1 UNION SELECT digest FROM manifests WHERE image = ?1 \
     UNION SELECT parts.manifest FROM manifest_parts AS parts \
     JOIN manifests AS forms ON forms.digest = parts.digest WHERE forms.image = ?1";

fn resolve(connection: &Connection, word: &str) -> Result<Resolved> {
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_hexdigit());
    let bare = word.strip_prefix("sha256:").unwrap_or(word);
    let missing = || Error::NoSuchImage { name: word.to_owned() };
    if let Some(digest) = whole(word) {
        let target = target_of(connection, &digest)?.ok_or_else(missing)?;
        return with_images(connection, None, target);
    }
    let name = Reference::parse(word).ok().map(Reference::with_default_tag);
    if let Some(name) = &name
        && let Some(target) = named(connection, name)?
    {
        return with_images(connection, Some(name.clone()), target);
    }
    if is_hex(bare) && bare.len() < 64 {
        let prefix = format!("sha256:{bare}");
        if let Some(target) = beginning(connection, &prefix)? {
            return with_images(connection, None, target);
        }
    }
    // As Docker says it: the familiar name, with the tag that was looked for.
    let name = name.map_or_else(|| word.to_owned(), |name| name.familiar());
    Err(Error::NoSuchImage { name })
}

/// The digest that a word is as a whole, with or without its algorithm.
fn whole(word: &str) -> Option<Digest> {
    word.parse().ok().or_else(|| format!("{}:{word}", Algorithm::Sha256.name()).parse().ok())
}

fn named(connection: &Connection, name: &Reference) -> Result<Option<Target>> {
    let Some(digest) = name.digest() else { return find(connection, &name.to_string()) };
    let sql = "SELECT 1 FROM repo_digests WHERE repository = ?1 AND digest = ?2";
    if connection.prepare_cached(sql)?.exists((name.repository(), digest.as_str()))? {
        return target_of(connection, digest);
    }
    Ok(None)
}

/// The one image (or, if none, manifest) whose digest begins so.
fn beginning(connection: &Connection, prefix: &str) -> Result<Option<Target>> {
    // ':' sorts before ';': everything that begins with the prefix is between it and the prefix with its end raised.
    let end = format!("{prefix}g");
    for table in [
        "SELECT id FROM images WHERE id >= ?1 AND id < ?2 ORDER BY id",
        "SELECT digest FROM manifests WHERE digest >= ?1 AND digest < ?2 ORDER BY digest",
    ] {
        let found = db::digests(connection, table, (prefix, &end))?;
        match found.as_slice() {
            [] => {}
            [one] => return target_of(connection, one),
            several => {
                let examples = several.iter().take(2).map(|digest| digest.short().to_owned()).collect();
                let prefix = prefix.to_owned();
                return Err(Error::Ambiguous { prefix, count: several.len(), examples });
            }
        }
    }
    Ok(None)
}

/// What a digest is the digest of.
fn target_of(connection: &Connection, digest: &Digest) -> Result<Option<Target>> {
    if image::has(connection, "SELECT 1 FROM images WHERE id = ?1", digest.as_str())? {
        return Ok(Some(Target::Image(ImageId(digest.clone()))));
    }
    let known = image::has(connection, "SELECT 1 FROM manifests WHERE digest = ?1", digest.as_str())?;
    Ok(known.then(|| Target::Manifest(digest.clone())))
}

fn with_images(connection: &Connection, name: Option<Reference>, target: Target) -> Result<Resolved> {
    let images = images_of(connection, &target)?;
    Ok(Resolved { name, target, images })
}

/// The images behind a target that are here.
pub(crate) fn images_of(connection: &Connection, target: &Target) -> Result<Vec<ImageId>> {
    let digest = match target {
        Target::Image(id) => return Ok(vec![id.clone()]),
        Target::Manifest(digest) => digest,
    };
    let Some(manifest) = image::find_manifest(connection, digest)? else { return Ok(Vec::new()) };
    let found: Vec<ImageId> = match manifest.kind {
        ManifestKind::Manifest => manifest.image.into_iter().collect(),
        ManifestKind::Index => {
            let sql = "SELECT manifests.image FROM manifest_parts AS parts \
                       JOIN manifests ON manifests.digest = parts.digest \
                       WHERE parts.manifest = ?1 AND manifests.image IS NOT NULL ORDER BY parts.position";
            db::digests(connection, sql, [digest.as_str()])?.into_iter().map(ImageId).collect()
        }
    };
    let mut present = Vec::new();
    for id in found {
        let here = image::has(connection, "SELECT 1 FROM images WHERE id = ?1", id.0.as_str())?;
        if here && !present.contains(&id) {
            present.push(id);
        }
    }
    Ok(present)
}

/// Writes the row of a tag, if its target is there.
pub(crate) fn insert(transaction: &Transaction<'_>, name: &Reference, target: &Target) -> Result<()> {
    let key = tag_name(name)?;
    let digest = target.digest();
    let sql = match target {
        Target::Manifest(_) => "SELECT 1 FROM manifests WHERE digest = ?1",
        Target::Image(_) => "SELECT 1 FROM images WHERE id = ?1",
    };
    if !image::has(transaction, sql, digest.as_str())? {
        return Err(Error::NoSuchImage { name: digest.to_string() });
    }
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO tags (name, repository, tag, digest, updated) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((&key, name.repository(), name.tag(), digest.as_str(), db::now()))?;
    Ok(())
}

pub(crate) fn insert_repo_digest(transaction: &Transaction<'_>, name: &Reference) -> Result<()> {
    let digest = name.digest().ok_or_else(|| no_tag(name, "no digest"))?;
    if !image::has(transaction, "SELECT 1 FROM manifests WHERE digest = ?1", digest.as_str())? {
        return Err(Error::NoSuchImage { name: digest.to_string() });
    }
    transaction
        .prepare_cached("INSERT OR IGNORE INTO repo_digests (repository, digest) VALUES (?1, ?2)")?
        .execute((name.repository(), digest.as_str()))?;
    Ok(())
}

fn no_tag(name: &Reference, problem: &'static str) -> Error {
    Error::NoTag { name: name.to_string(), problem }
}

/// The key of a tag: domain, path and tag.
fn tag_name(name: &Reference) -> Result<String> {
    match (name.tag(), name.digest()) {
        (Some(_), None) => Ok(name.to_string()),
        (None, _) => Err(no_tag(name, "no tag")),
        (_, Some(_)) => Err(no_tag(name, "a digest")),
    }
}

fn find(connection: &Connection, key: &str) -> Result<Option<Target>> {
    let sql = "SELECT digest FROM tags WHERE name = ?1";
    let digest = connection.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?;
    digest.map(|text| target_by_table(connection, db::digest(text)?)).transpose()
}

/// A tag's target is an image's ID only while there is such an image.
fn target_by_table(connection: &Connection, digest: Digest) -> Result<Target> {
    Ok(target_of(connection, &digest)?.unwrap_or(Target::Manifest(digest)))
}

fn tags_where(connection: &Connection, clause: &str, parameters: impl rusqlite::Params) -> Result<Vec<Tag>> {
    let sql = format!("SELECT name, digest, updated FROM tags {clause} ORDER BY name");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name = reference(&row.get::<_, String>(0)?)?;
        let target = target_by_table(connection, db::digest(row.get(1)?)?)?;
        found.push(Tag { name, target, updated: row.get(2)? });
    }
    Ok(found)
}

pub(crate) fn reference(text: &str) -> Result<Reference> {
    Reference::parse(text).map_err(|_| Error::Corrupt { what: "a name", value: text.to_owned() })
}
