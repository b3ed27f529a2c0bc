//! Containers. One file is one verb.

mod error;
mod find;
mod record;
mod state;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use longshore_runtime::launch::{Control, ControlError};
use longshore_types::ContainerId;
use rustix::fs::{Mode, OFlags};
use tokio::sync::watch;

pub use error::{Error, Result};
pub use record::{Image, Record};
pub use state::{Phase, State};

use crate::{
    attach::Lobby,
    db::{Db, Table},
    event::Events,
};

/// Where containers are kept, and how they are made unless their creator says otherwise.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `containers/<id>/` in it holds what lasts: the log, `hosts`, `hostname`, `resolv.conf`.
    pub data_root: PathBuf,
    /// `containers/<id>/` in it holds what lasts until the next boot: the monitor's socket and the exit record.
    pub exec_root: PathBuf,
    /// The program `longshore-runtime`.
    pub runtime: PathBuf,
}

/// All containers.
#[derive(Clone, Debug)]
pub struct Containers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    db: Db,
    events: Events,
    /// By ID.
    table: RwLock<BTreeMap<String, Container>>,
}

/// One container. It may have been removed since it was found.
#[derive(Clone, Debug)]
pub struct Container(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    id: ContainerId,
    record: watch::Sender<Arc<Record>>,
    data_dir: PathBuf,
    state_dir: PathBuf,
    lobby: Lobby,
}

impl Containers {
    /// Reads what is kept. A record that cannot be read is left out, and told.
    pub fn open(settings: Settings, db: Db, events: Events) -> Result<Self> {
        let mut table = BTreeMap::new();
        for record in db.all::<Record>(Table::Containers)? {
            match record {
                Ok(record) => {
                    let container = Container::new(record, &settings);
                    table.insert(container.id().as_str().to_owned(), container);
                }
                Err(error) => tracing::error!(error = %error, "a container cannot be read and is left out"),
            }
        }
        Ok(Self(Arc::new(Inner { settings, db, events, table: RwLock::new(table) })))
    }

    /// How containers are made here.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Where their events go.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.0.events
    }

    /// Where they are kept.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.0.db
    }

    /// All of them, by ID.
    #[must_use]
    pub fn all(&self) -> Vec<Container> {
        self.table().values().cloned().collect()
    }

    fn table(&self) -> RwLockReadGuard<'_, BTreeMap<String, Container>> {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Container {
    fn new(record: Record, settings: &Settings) -> Self {
        let id = record.id.clone();
        let below = |root: &Path| root.join("containers").join(id.as_str());
        Self(Arc::new(Shared {
            data_dir: below(&settings.data_root),
            state_dir: below(&settings.exec_root),
            id,
            record: watch::Sender::new(Arc::new(record)),
            lobby: Lobby::default(),
        }))
    }

    /// Its ID: 64 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &ContainerId {
        &self.0.id
    }

    /// What is known of it now.
    #[must_use]
    pub fn record(&self) -> Arc<Record> {
        self.0.record.borrow().clone()
    }

    /// What is known of it, now and with every change. Ends when it is removed and nobody holds it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Record>> {
        self.0.record.subscribe()
    }

    /// The directory of what lasts: the log, `hosts`, `hostname`, `resolv.conf`.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.0.data_dir
    }

    /// The directory of its monitor's socket and its exit record.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.0.state_dir
    }

    /// Who waits to be attached to it.
    #[must_use]
    pub fn lobby(&self) -> &Lobby {
        &self.0.lobby
    }

    /// A new connection to its monitor. Blocks, for microseconds.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when nobody answers.
    pub fn control(&self) -> Result<Control> {
        let id = || self.id().to_string();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = match rustix::fs::open(self.state_dir(), flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(rustix::io::Errno::NOENT) => return Err(Error::NotRunning { id: id() }),
            Err(errno) => {
                let object = self.state_dir().display().to_string();
                return Err(Error::Io { operation: "open", object, source: errno.into() });
            }
        };
        use std::os::fd::AsFd;
        Control::connect(directory.as_fd()).map_err(|source| match source {
            ControlError::Gone => Error::NotRunning { id: id() },
            source => Error::Control { id: id(), source },
        })
    }
}
