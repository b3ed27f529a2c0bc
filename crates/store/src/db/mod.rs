//! The database: two connections, one schema.
//!
//! The writing connection is behind a mutex and sees the temporary leases. The reading one sees what is
//! committed. Both are plain SQLite with a write-ahead log: `sqlite3 store.db` may look at any time.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard},
    time::{SystemTime, UNIX_EPOCH},
};

use longshore_types::{Digest, ImageId};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::{
    error::{At, Error, Result},
    failpoint,
    root::guard,
    wal::{Durability, Wal},
};

/// The format of the data root. A newer one is refused.
pub(crate) const FORMAT: i64 = 1;

const SCHEMA: &str = include_str!("schema.sql");

#[derive(Debug)]
pub(crate) struct Db {
    /// Whether there was none when it was opened.
    pub(crate) is_new: bool,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    /// What the writer has committed and left to the kernel becomes durable by this.
    pub(crate) wal: Wal,
}

impl Db {
    /// Opens the database at `path` and makes what is missing. `root` is for messages.
    pub(crate) fn open(path: &Path, root: &Path) -> Result<Self> {
        let writer = Connection::open(path)?;
        prepare(&writer)?;
        writer.pragma_update(None, "journal_mode", "wal")?;
        writer.pragma_update(None, "synchronous", "full")?;
        writer.pragma_update(None, "journal_size_limit", 4 << 20)?;
        let found: i64 = writer.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let is_new = found == 0;
        match found {
            0 => {
                let schema = include_str!("schema.sql");
                writer
                    .execute_batch(&format!("BEGIN;\n{schema}\nPRAGMA user_version = {FORMAT};\nCOMMIT;"))?;
            }
            FORMAT => {}
            // No version of ours will have such a number.
            _ if !(0..1000).contains(&found) => {
                return Err(Error::Corrupt { what: "the format", value: found.to_string() });
            }
            _ => return Err(Error::NewerFormat { root: root.to_owned(), found, known: FORMAT }),
        }
        if schema(&writer)? != intended_schema()? {
            return Err(Error::Corrupt { what: "the schema", value: path.display().to_string() });
        }
        let problem: String = writer.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if problem != "ok" {
            return Err(Error::Corrupt { what: "something", value: problem });
        }
        writer.execute_batch(include_str!("temporary.sql"))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags)?;
        prepare(&reader)?;
        reader.pragma_update(None, "query_only", true)?;
        let wal = Wal::of(path);
        Ok(Self { is_new, writer: Mutex::new(writer), reader: Mutex::new(reader), wal })
    }

    /// The writing connection, for a transaction and the renames that belong to it.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Connection> {
        guard(&self.writer)
    }

    /// Looks something up in what is committed.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        look(&guard(&self.reader))
    }
}

/// What tables and indexes a database says that it has.
fn schema(connection: &Connection) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What it should have: damage in there is seen by nothing else.
fn intended_schema() -> Result<Vec<String>> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(SCHEMA)?;
    schema(&connection)
}

fn prepare(connection: &Connection) -> Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Whether this is what SQLite says of a file that is not, or no longer, a database of ours.
pub(crate) fn is_damage(error: &Error) -> bool {
    use rusqlite::ErrorCode;
    match error {
        Error::Corrupt { .. } => true,
        // A missing table or column comes as an unknown error: the schema itself is damaged.
        Error::Database(error) => matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::TypeMismatch
                    | ErrorCode::Unknown
            )
        ),
        _ => false,
    }
}

/// Begins a transaction that will write.
pub(crate) fn begin(connection: &mut Connection) -> Result<Transaction<'_>> {
    begin_for(connection, Durability::Disk)
}

/// Begins a transaction whose commit waits for the disk, or does not.
pub(crate) fn begin_for(connection: &mut Connection, durability: Durability) -> Result<Transaction<'_>> {
    failpoint::step("db.begin").at("write", "store.db")?;
    let synchronous = if durability == Durability::Disk { "full" } else { "normal" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Commits: what the transaction says is on disk when this returns, if it was begun so.
pub(crate) fn commit(transaction: Transaction<'_>) -> Result<()> {
    failpoint::step("db.commit").at("write", "store.db")?;
    transaction.commit()?;
    // After it, so that a test can die between the acknowledgement on disk and the caller's hearing of it.
    // A failure here would be a lie, so only killing is possible.
    failpoint::step("db.committed").ok();
    Ok(())
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// SQLite's integers have a sign; sizes do not.
pub(crate) fn to_sql(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// A size out of the database. A negative one is damage, and nothing.
pub(crate) fn size(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(crate) fn digest(text: String) -> Result<Digest> {
    text.parse().map_err(|_| Error::Corrupt { what: "a digest", value: text })
}

pub(crate) fn image_id(text: String) -> Result<ImageId> {
    digest(text).map(ImageId)
}

/// All rows of a query with one text column, as digests.
pub(crate) fn digests(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<Digest>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, |row| row.get::<_, String>(0))?;
    rows.map(|text| digest(text?)).collect()
}
