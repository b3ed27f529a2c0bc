//! The database of the engine: `engine.db`, one row for each container, volume and network.
//!
//! One connection behind a mutex: everything that is read often is in memory too. Plain SQLite with a write-ahead
//! log: `sqlite3 engine.db` may look at any time. What was acknowledged to a user is on the disk
//! ([`Durability::Disk`], one wait for all who want it at a time); what the next start finds out by itself anyway (that something runs, or has ended) is
//! only handed to the kernel, which survives the daemon's end but not the machine's.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use longshore_store::Wal;
use longshore_types::Kind;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};

/// The format of the database. A newer one is refused.
const FORMAT: i64 = 1;
/// Bytes of a page.
const PAGE: i64 = 8192;

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error("database {}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("database {} was written by a newer version: its format is {found}, {FORMAT} is known", path.display())]
    NewerFormat { path: PathBuf, found: i64 },
    #[error("record of {table} {key} in the database")]
    Record { table: &'static str, key: String, source: serde_json::Error },
    #[error("database {} cannot be made durable", path.display())]
    Sync { path: PathBuf, source: std::io::Error },
    /// A name that must be unique is not.
    #[error("{table} has the name already")]
    NameTaken { table: &'static str },
}

impl DbError {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NameTaken { .. } => Kind::Conflict,
            Self::Sqlite { source, .. }
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) =>
            {
                Kind::ResourceExhausted
            }
            _ => Kind::Internal,
        }
    }
}

pub use longshore_store::Durability;

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Containers,
    Volumes,
    Networks,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Containers => "containers",
            Self::Volumes => "volumes",
            Self::Networks => "networks",
        }
    }

    fn key(self) -> &'static str {
        if self == Self::Volumes { "name" } else { "id" }
    }
}

/// The database.
#[derive(Clone, Debug)]
pub struct Db(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    connection: Mutex<Connection>,
    wal: Wal,
}

impl Db {
    /// Opens the database at `path`, made when absent.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        let fail = |source| DbError::Sqlite { path: path.into(), source };
        let connection = Connection::open(path).map_err(fail)?;
        prepare(&connection).map_err(fail)?;
        let found: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fail)?;
        match found {
            0 => {
                let schema = include_str!("schema.sql");
                let sql = format!("BEGIN;\n{schema}\nPRAGMA user_version = {FORMAT};\nCOMMIT;");
                connection.execute_batch(&sql).map_err(fail)?;
            }
            FORMAT => {}
            found => return Err(DbError::NewerFormat { path: path.into(), found }),
        }
        let wal = Wal::of(path);
        Ok(Self(Arc::new(Inner { path: path.into(), connection: Mutex::new(connection), wal })))
    }

    /// All records of a kind. One that cannot be read does not hide the others: its key and what is wrong with it.
    pub fn all<T: DeserializeOwned>(&self, table: Table) -> Result<Vec<Result<T, DbError>>, DbError> {
        let name = table.name();
        self.with(|connection| {
            let sql = format!("SELECT {}, record FROM {name}", table.key());
            let mut statement = connection.prepare_cached(&sql)?;
            let rows =
                statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| {
                let (key, text) = row?;
                Ok(serde_json::from_str(&text).map_err(|source| DbError::Record { table: name, key, source }))
            })
            .collect()
        })
    }

    /// The keys of all records of a kind, of those too that cannot be read.
    pub fn keys(&self, table: Table) -> Result<HashSet<String>, DbError> {
        self.with(|connection| {
            let sql = format!("SELECT {} FROM {}", table.key(), table.name());
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Keeps a record, in place of an earlier one with this key.
    ///
    /// # Errors
    /// [`DbError::NameTaken`] when another record has the name.
    pub fn put(
        &self,
        table: Table,
        key: &str,
        name: &str,
        record: &impl Serialize,
        durability: Durability,
    ) -> Result<(), DbError> {
        let text = serde_json::to_string(record).map_err(|source| DbError::Record {
            table: table.name(),
            key: key.into(),
            source,
        })?;
        let taken = self.with(|connection| write(connection, table, key, name, &text))?;
        if taken {
            return Err(DbError::NameTaken { table: table.name() });
        }
        if durability == Durability::Disk { self.sync() } else { Ok(()) }
    }

    /// Forgets a record. Says whether there was one.
    pub fn delete(&self, table: Table, key: &str, durability: Durability) -> Result<bool, DbError> {
        let deleted = self.with(|connection| {
            let sql = format!("DELETE FROM {} WHERE {} = ?1", table.name(), table.key());
            Ok(connection.prepare_cached(&sql)?.execute([key])? > 0)
        })?;
        if durability == Durability::Disk {
            self.sync()?;
        }
        Ok(deleted)
    }

    /// Returns when every change before this call is on the disk.
    pub fn sync(&self) -> Result<(), DbError> {
        self.0.wal.sync().map_err(|source| DbError::Sync { path: self.0.path.clone(), source })
    }

    /// One record, `None` if there is none.
    pub fn get<T: DeserializeOwned>(&self, table: Table, key: &str) -> Result<Option<T>, DbError> {
        let text: Option<String> = self.with(|connection| {
            let sql = format!("SELECT record FROM {} WHERE {} = ?1", table.name(), table.key());
            connection.prepare_cached(&sql)?.query_row([key], |row| row.get(0)).optional()
        })?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|source| DbError::Record {
            table: table.name(),
            key: key.into(),
            source,
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, DbError> {
        let connection = self.0.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&connection).map_err(|source| DbError::Sqlite { path: self.0.path.clone(), source })
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // A container's record fits a page: one that changes is one page in the log. Of effect in a new database.
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A commit is left to the kernel; what has to be on the disk is synced by [`Wal`]. Neither can damage what is there
    // (sqlite.org/pragma.html#pragma_synchronous).
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", 4 << 20)
}

/// Writes a record. Says whether another one has the name.
fn write(connection: &Connection, table: Table, key: &str, name: &str, text: &str) -> rusqlite::Result<bool> {
    // Most changes leave the name alone, and with it its index.
    let (sql, table) = match table {
        Table::Volumes => {
            let sql = "INSERT INTO volumes (name, record) VALUES (?1, ?2)
                       ON CONFLICT (name) DO UPDATE SET record = ?2";
            connection.prepare_cached(sql)?.execute(params![key, text])?;
            return Ok(false);
        }
        table => {
            (format!("UPDATE {} SET record = ?3 WHERE id = ?1 AND name = ?2", table.name()), table.name())
        }
    };
    if connection.prepare_cached(&sql)?.execute(params![key, name, text])? > 0 {
        return Ok(false);
    }
    let sql = format!(
        "INSERT INTO {table} (id, name, record) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET name = ?2, record = ?3"
    );
    match connection.prepare_cached(&sql)?.execute(params![key, name, text]) {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => Ok(true),
        other => other.map(|_| false),
    }
}
