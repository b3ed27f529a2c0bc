//! Leases: who needs what.
//!
//! A lease keeps blobs and layers from being collected, and images from being removed without force. What it names
//! need not exist yet: a pull adds everything that its manifest names, and then looks what is there.

use std::sync::Arc;

use longshore_types::{DiffId, Digest, ImageId};
use rusqlite::Connection;

use crate::{
    db,
    error::{Error, Result},
    root::{Inner, Store},
};

/// How long a lease or a snapshot lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// Until its handle is dropped, or the process ends. Costs no write to the disk.
    Process,
    /// Until it is released or removed by name.
    Persistent,
}

/// What a lease can hold. A snapshot holds its layers by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    Blob(Digest),
    Layer(DiffId),
    Image(ImageId),
}

impl Resource {
    fn key(&self) -> (&'static str, &str) {
        match self {
            Self::Blob(digest) => ("blob", digest.as_str()),
            Self::Layer(diff_id) => ("layer", diff_id.0.as_str()),
            Self::Image(id) => ("image", id.0.as_str()),
        }
    }

    fn of(kind: &str, key: String) -> Result<Self> {
        let digest = db::digest(key)?;
        Ok(match kind {
            "layer" => Self::Layer(DiffId(digest)),
            "image" => Self::Image(ImageId(digest)),
            _ => Self::Blob(digest),
        })
    }
}

/// A hold on some things. One of [`Life::Process`] is released when dropped.
#[derive(Debug)]
pub struct Lease {
    store: Arc<Inner>,
    name: String,
    owner: String,
    life: Life,
}

/// A persistent lease, as written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseEntry {
    pub name: String,
    pub owner: String,
    /// Seconds since 1970.
    pub created: i64,
    pub items: Vec<Resource>,
}

impl Store {
    /// Makes a lease. `owner` is shown to people who ask why something is kept: `container web`.
    ///
    /// A persistent one has the owner's name as its own, and is the same lease when asked for twice.
    pub fn lease(&self, owner: &str, life: Life) -> Result<Lease> {
        let name = match life {
            Life::Process => format!("{owner}#{}", self.0.number()),
            Life::Persistent => owner.to_owned(),
        };
        if life == Life::Persistent {
            let mut writer = self.0.db.writer();
            let transaction = db::begin(&mut writer)?;
            transaction
                .prepare_cached("INSERT OR IGNORE INTO leases (name, owner, created) VALUES (?1, ?2, ?3)")?
                .execute((&name, owner, db::now()))?;
            db::commit(transaction)?;
        }
        Ok(Lease { store: Arc::clone(&self.0), name, owner: owner.to_owned(), life })
    }

    /// Releases a persistent lease.
    pub fn release(&self, name: &str) -> Result<()> {
        self.0.removing(|| {
            let mut writer = self.0.db.writer();
            let transaction = db::begin(&mut writer)?;
            transaction.prepare_cached("DELETE FROM lease_items WHERE lease = ?1")?.execute([name])?;
            let count = transaction.prepare_cached("DELETE FROM leases WHERE name = ?1")?.execute([name])?;
            if count == 0 {
                return Err(Error::NoSuchLease { name: name.to_owned() });
            }
            db::commit(transaction)
        })
    }

    /// The persistent leases.
    pub fn leases(&self) -> Result<Vec<LeaseEntry>> {
        self.0.db.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT name, owner, created FROM leases ORDER BY created, name")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let mut found = Vec::new();
            for row in rows {
                let (name, owner, created): (String, _, _) = row?;
                let items = items(connection, &name)?;
                found.push(LeaseEntry { name, owner, created, items });
            }
            Ok(found)
        })
    }
}

fn items(connection: &Connection, lease: &str) -> Result<Vec<Resource>> {
    let mut statement =
        connection.prepare_cached("SELECT kind, key FROM lease_items WHERE lease = ?1 ORDER BY kind, key")?;
    let rows =
        statement.query_map([lease], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| row.map_err(Error::from).and_then(|(kind, key)| Resource::of(&kind, key))).collect()
}

impl Lease {
    /// What it is released by, if it is persistent.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Holds one more thing.
    pub fn add(&self, resource: Resource) -> Result<()> {
        self.add_all([resource])
    }

    /// Holds more things, all or none.
    pub fn add_all(&self, resources: impl IntoIterator<Item = Resource>) -> Result<()> {
        let mut writer = self.store.db.writer();
        if self.life == Life::Process {
            for resource in resources {
                let (kind, key) = resource.key();
                hold(&writer, &self.name, &self.owner, kind, key)?;
            }
            return Ok(());
        }
        let transaction = db::begin(&mut writer)?;
        for resource in resources {
            let (kind, key) = resource.key();
            transaction
                .prepare_cached("INSERT OR IGNORE INTO lease_items (lease, kind, key) VALUES (?1, ?2, ?3)")?
                .execute((&self.name, kind, key))?;
        }
        db::commit(transaction)
    }

    /// Lets go of everything.
    pub fn release(self) -> Result<()> {
        match self.life {
            Life::Process => Ok(()),
            Life::Persistent => Store(Arc::clone(&self.store)).release(&self.name),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.life == Life::Process {
            // In memory: what cannot be deleted goes with the process.
            let_go(&self.store.db.writer(), &self.name).ok();
        }
    }
}

/// Writes a temporary hold.
pub(crate) fn hold(
    writer: &Connection,
    lease: &str,
    owner: &str,
    kind: &str,
    key: &str,
) -> rusqlite::Result<()> {
    writer
        .prepare_cached("INSERT OR IGNORE INTO temp.held (lease, owner, kind, key) VALUES (?1, ?2, ?3, ?4)")?
        .execute((lease, owner, kind, key))?;
    Ok(())
}

/// Deletes temporary holds.
pub(crate) fn let_go(writer: &Connection, lease: &str) -> rusqlite::Result<()> {
    writer.prepare_cached("DELETE FROM temp.held WHERE lease = ?1")?.execute([lease])?;
    Ok(())
}
