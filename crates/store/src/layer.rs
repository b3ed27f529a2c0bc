//! Layers: directories in overlay form, one per DiffID.

use std::{
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
    sync::Arc,
};

use longshore_types::{DiffId, Digest};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::{
    commit::Prepared,
    db,
    dir::Dir,
    error::{Error, Result},
    measure::{Usage, measure},
    root::{Inner, Store},
};

/// What is known of a layer when it is complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerFacts {
    /// Content of regular files, hard links once: what Docker shows as its size.
    pub bytes: u64,
    pub inodes: u64,
    /// Length of the tar that hashes to the DiffID.
    pub tar_bytes: u64,
    /// Blobs that it can be had from again.
    #[serde(default)]
    pub forms: Vec<Form>,
}

/// A blob that a layer can be had from again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    pub digest: Digest,
    pub size: u64,
    pub media_type: String,
    pub kind: FormKind,
}

/// How a blob holds a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormKind {
    /// The tar, compressed or not, as registries have it.
    Compressed,
    /// All of the tar but the files' content, which is in the layer's directory.
    Recipe,
}

impl FormKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Compressed => "compressed",
            Self::Recipe => "recipe",
        }
    }

    pub(crate) fn of(name: &str) -> Self {
        if name == "recipe" { Self::Recipe } else { Self::Compressed }
    }
}

/// `layer.json`: what a row of `layers` can be made again from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) diff_id: DiffId,
    #[serde(flatten)]
    pub(crate) facts: LayerFacts,
    pub(crate) created: i64,
    /// The snapshot whose upper directory this was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<u64>,
}

/// The longest `layer.json` that is read.
const CARD_LIMIT: u64 = 1 << 20;

/// A layer that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    pub diff_id: DiffId,
    /// Its directory is `layers/<id>`.
    pub id: u64,
    pub facts: LayerFacts,
}

/// A layer that is being made. Dropped without [`NewLayer::prepare`], it is gone.
#[derive(Debug)]
pub struct NewLayer {
    fs: Dir,
    place: Place,
}

/// A layer that is complete, and not yet visible. Goes to [`Store::commit_all`].
#[derive(Debug)]
pub struct PreparedLayer {
    pub(crate) card: Card,
    pub(crate) place: Place,
}

/// A directory below `layers/` without a row.
#[derive(Debug)]
pub(crate) struct Place {
    store: Arc<Inner>,
    pub(crate) id: u64,
    /// Whether the row is there now, and the directory stays.
    pub(crate) kept: bool,
}

impl Store {
    /// Begins a layer: an empty directory to apply a tar to.
    pub fn begin_layer(&self) -> Result<NewLayer> {
        let place = Place::new(&self.0);
        let fs = self.0.dirs.layers.make(&place.name(), 0o700)?.make("fs", 0o755)?;
        Ok(NewLayer { fs, place })
    }

    /// The layer with this DiffID, if it is here and usable.
    pub fn layer(&self, diff_id: &DiffId) -> Result<Option<Layer>> {
        self.0.db.read(|connection| find(connection, diff_id))
    }

    /// All layers.
    pub fn layers(&self) -> Result<Vec<Layer>> {
        self.0.db.read(|connection| {
            let all = db::digests(connection, "SELECT diff_id FROM layers ORDER BY id", [])?;
            all.into_iter().filter_map(|digest| find(connection, &DiffId(digest)).transpose()).collect()
        })
    }

    /// Opens the directory of a layer: overlay form, never to be written to.
    pub fn open_layer(&self, diff_id: &DiffId) -> Result<std::os::fd::OwnedFd> {
        let layer = self.layer(diff_id)?.ok_or_else(|| Error::NoSuchLayer { diff_id: diff_id.clone() })?;
        let fs = self.0.dirs.layers.child(layer.id.to_string())?.child("fs")?;
        Ok(fs.into())
    }

    /// The path of a layer's directory, for messages and for tools that want one.
    #[must_use]
    pub fn layer_path(&self, layer: &Layer) -> PathBuf {
        self.0.dirs.layers.join(layer.id.to_string()).join("fs")
    }

    /// Notes another blob that the layer can be had from, as a push makes one.
    pub fn add_form(&self, diff_id: &DiffId, form: &Form) -> Result<()> {
        let mut writer = self.0.db.writer();
        let transaction = db::begin(&mut writer)?;
        insert_form(&transaction, diff_id, form)?;
        db::commit(transaction)
    }
}

/// The layer with this DiffID.
pub(crate) fn find(connection: &Connection, diff_id: &DiffId) -> Result<Option<Layer>> {
    let key = diff_id.0.as_str();
    let mut statement =
        connection.prepare_cached("SELECT id, bytes, inodes, tar_bytes FROM layers WHERE diff_id = ?1")?;
    let mut rows = statement.query([key])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut facts = LayerFacts {
        bytes: db::size(row.get(1)?),
        inodes: db::size(row.get(2)?),
        tar_bytes: db::size(row.get(3)?),
        forms: Vec::new(),
    };
    let id = db::size(row.get(0)?);
    let mut forms = connection
        .prepare_cached("SELECT digest, size, media_type, kind FROM layer_forms WHERE diff_id = ?1")?;
    let mut rows = forms.query([key])?;
    while let Some(row) = rows.next()? {
        facts.forms.push(Form {
            digest: db::digest(row.get(0)?)?,
            size: db::size(row.get(1)?),
            media_type: row.get(2)?,
            kind: FormKind::of(&row.get::<_, String>(3)?),
        });
    }
    Ok(Some(Layer { diff_id: diff_id.clone(), id, facts }))
}

/// Writes the rows of a layer.
pub(crate) fn insert(connection: &Connection, id: u64, card: &Card) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO layers (diff_id, id, bytes, inodes, tar_bytes, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            card.diff_id.0.as_str(),
            db::to_sql(id),
            db::to_sql(card.facts.bytes),
            db::to_sql(card.facts.inodes),
            db::to_sql(card.facts.tar_bytes),
            card.created,
        ))?;
    card.facts.forms.iter().try_for_each(|form| insert_form(connection, &card.diff_id, form))
}

pub(crate) fn insert_form(connection: &Connection, diff_id: &DiffId, form: &Form) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO layer_forms (diff_id, digest, kind, media_type, size) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            diff_id.0.as_str(),
            form.digest.as_str(),
            form.kind.name(),
            &form.media_type,
            db::to_sql(form.size),
        ))?;
    Ok(())
}

impl NewLayer {
    /// The directory to fill.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.fs.as_fd()
    }

    /// Counts what is in it. For facts that came by adding up entries of a tar that replace each other.
    pub fn usage(&self) -> Result<Usage> {
        measure(&self.place.dir()?, "fs")
    }

    /// Says which layer it is now that it is complete. `facts.bytes` must be exact: [`NewLayer::usage`].
    pub fn prepare(self, diff_id: DiffId, facts: LayerFacts) -> Result<PreparedLayer> {
        let card = Card { diff_id, facts, created: db::now(), snapshot: None };
        self.place.dir()?.replace("layer.json", &write_card(&card))?;
        Ok(PreparedLayer { card, place: self.place })
    }

    /// Makes the layer visible and durable. Where somebody else did so meanwhile, theirs is used.
    pub fn commit(self, diff_id: DiffId, facts: LayerFacts) -> Result<Layer> {
        let store = Store(Arc::clone(&self.place.store));
        let prepared = self.prepare(diff_id.clone(), facts)?;
        store.commit_all(vec![Prepared::Layer(prepared)])?;
        store.layer(&diff_id)?.ok_or(Error::NoSuchLayer { diff_id })
    }
}

/// `layer.json`: the card, and its hash in a second line.
pub(crate) fn write_card(card: &Card) -> Vec<u8> {
    let mut content = serde_json::to_vec(card).unwrap_or_default();
    let digest = Digest::of(&content);
    content.extend_from_slice(format!("\n{digest}\n").as_bytes());
    content
}

/// What `layer.json` in `dir` says, if it is what was written.
pub(crate) fn read_card(dir: &Dir) -> Option<Card> {
    let content = dir.read("layer.json", CARD_LIMIT).ok()??;
    let (card, digest) = content.split_at_checked(content.iter().position(|byte| *byte == b'\n')?)?;
    let is_whole = std::str::from_utf8(digest).is_ok_and(|text| text.trim() == Digest::of(card).as_str());
    is_whole.then(|| serde_json::from_slice(card).ok())?
}

impl PreparedLayer {
    /// Which layer it is.
    #[must_use]
    pub fn diff_id(&self) -> &DiffId {
        &self.card.diff_id
    }

    /// Notes one more blob that it can be had from again.
    pub fn add_form(&mut self, form: Form) -> Result<()> {
        self.card.facts.forms.push(form);
        self.place.dir()?.replace("layer.json", &write_card(&self.card))
    }

    /// The directory, to be read before it is committed.
    pub fn open(&self) -> Result<std::os::fd::OwnedFd> {
        Ok(self.place.dir()?.child("fs")?.into())
    }
}

impl Place {
    pub(crate) fn new(store: &Arc<Inner>) -> Self {
        let id = store.number();
        store.staged().layers.insert(id);
        store.flush.begin();
        Self { store: Arc::clone(store), id, kept: false }
    }

    pub(crate) fn name(&self) -> String {
        self.id.to_string()
    }

    pub(crate) fn dir(&self) -> Result<Dir> {
        self.store.dirs.layers.child(self.name())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.store.flush.end();
        if !self.kept {
            // What cannot be removed now goes at the next open.
            self.store.trash.take(&self.store.dirs.layers, self.name()).ok();
        }
        self.store.staged().layers.remove(&self.id);
    }
}
