//! Volumes: directories that outlive containers, and what else containers mount.
//!
//! ```text
//! <data-root>/volumes/<name>/_data      what containers see
//! <data-root>/volumes/.removed/…        on its way out
//! <exec-root>/mounts/<id>-<n>/          where parts of volumes and images are held for a start
//! ```
//!
//! # Rules
//!
//! * A volume exists if and only if its row in `engine.db` does. Its directory is there before its row; a removal
//!   moves the directory to `.removed` first, and the next start ends a removal that was begun.
//! * Who uses a volume is known here, from the creation of a container to its removal, and asked under the same
//!   lock under which volumes are removed.
//! * What is mounted for a start is given away as a path that nobody else can exchange: parts of volumes are opened
//!   below the volume and held by a mount until the container has its own.

mod copy;
mod create;
mod driver;
mod error;
mod image;
mod list;
mod prepare;
mod prune;
mod remove;
mod resolve;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use longshore_types::{ContainerId, Timestamp, container::MountPoint};
use serde::{Deserialize, Serialize};

pub use create::Create;
pub use error::Error;
use error::io;
pub use image::ImageSource;
pub use prepare::{Other, Prepared};
pub use prune::Pruned;
pub use resolve::Resolved;

use crate::{
    db::{Db, Table},
    event::{Events, Object},
};

/// What a call on volumes may return.
pub type Result<T> = std::result::Result<T, Error>;

/// The label of volumes that nobody named.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";
/// The one driver.
pub const LOCAL: &str = "local";

/// A volume: what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub name: String,
    pub created: Timestamp,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What the driver was told: `type`, `device`, `o`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// The container that it was made with, until that lets it go: if there is none with this ID, there never was,
    /// and the volume goes too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_for: Option<String>,
}

/// All volumes.
#[derive(Clone, Debug)]
pub struct Volumes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `volumes/` of the data root.
    root: PathBuf,
    data_root: PathBuf,
    /// `mounts/` of the exec root.
    mounts: PathBuf,
    db: Db,
    events: Events,
    images: Arc<dyn ImageSource>,
    /// Guards the table, and with it who uses what: held over the directory operations of a creation and the
    /// rename of a removal, never over copies.
    table: Mutex<Vec<Entry>>,
    pruning: AtomicBool,
}

/// A volume and who uses it.
#[derive(Clone, Debug)]
struct Entry {
    volume: Volume,
    /// Containers that mount it when they run.
    users: BTreeSet<String>,
    /// Those of them that run.
    running: BTreeSet<String>,
}

impl Volumes {
    /// Reads what is kept, and ends what was begun. `data_root` and `exec_root` are the daemon's.
    pub fn open(
        data_root: &Path,
        exec_root: &Path,
        db: Db,
        events: Events,
        images: impl ImageSource + 'static,
    ) -> Result<Self> {
        let images: Arc<dyn ImageSource> = Arc::new(images);
        let root = data_root.join("volumes");
        let mounts = exec_root.join("mounts");
        for path in [&root, &mounts] {
            private(path)?;
        }
        resolve::drop_all(&mounts);
        let mut table = Vec::new();
        for volume in db.all::<Volume>(Table::Volumes)? {
            match volume {
                Ok(volume) => {
                    table.push(Entry { volume, users: BTreeSet::new(), running: BTreeSet::new() });
                }
                Err(error) => tracing::error!(error = %error, "a volume cannot be read and is left out"),
            }
        }
        let data_root = data_root.to_owned();
        let table = Mutex::new(table);
        let pruning = AtomicBool::new(false);
        let volumes = Self(Arc::new(Inner { root, data_root, mounts, db, events, images, table, pruning }));
        volumes.finish_removals()?;
        Ok(volumes)
    }

    /// Notes that a container has these mounts: for those that were there before this start of the daemon.
    pub fn hold(&self, id: &ContainerId, mounts: &[MountPoint], running: bool) {
        let mut table = self.table();
        for name in mounts.iter().map(|mount| &mount.name).filter(|name| !name.is_empty()) {
            if let Some(entry) = table.iter_mut().find(|entry| entry.volume.name == *name) {
                entry.users.insert(id.to_string());
                if running {
                    entry.running.insert(id.to_string());
                }
            }
        }
    }

    /// Where a volume's files are.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.root.join(name).join("_data")
    }

    fn table(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, action: &str, name: &str, attributes: &[(&str, &str)]) {
        let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.0.events.publish(Object::Volume, action, name, attributes.collect());
    }
}

impl Volume {
    /// Whether nobody named it.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS)
    }

    fn needs_mount(&self) -> bool {
        self.options.contains_key("device") || self.options.contains_key("type")
    }
}

/// A place where tests stop the daemon.
fn step(name: &'static str) -> Result<()> {
    longshore_runtime::failpoint::step(name).map_err(io("take the step", Path::new(name)))
}

/// Makes a directory for root alone.
fn private(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("make", path))
}
