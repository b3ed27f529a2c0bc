//! Containers. One file is one verb.

mod boot;
mod connect;
mod create;
mod error;
mod exec_base;
mod exit;
mod find;
mod health;
mod joins;
pub mod kill;
mod launch;
mod link;
mod list;
mod name;
mod network;
mod prune;
mod publish;
mod reconfigure;
mod record;
mod remove;
mod rename;
mod restart;
mod restore;
mod root;
mod size;
mod start;
mod state;
mod stop;
mod update;
mod wait;

use std::{
    collections::{BTreeMap, HashMap},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, atomic::AtomicBool},
    time::Duration,
};

use longshore_image::Images;
use longshore_runtime::launch::{Control, ControlError, Launcher};
use longshore_types::ContainerId;
use rustix::fs::{Mode, OFlags};
use tokio::sync::{OwnedMutexGuard, watch};

pub use create::{Create, Created};
pub use error::{Error, Result};
pub use exec_base::Base;
pub use health::{Health, HealthStatus, Probe};
pub use list::List;
pub use prune::Pruned;
pub use record::{Image, Record};
pub use remove::Remove;
pub use root::Root;
pub use size::Size;
pub use state::{Phase, State, Verb};
pub use stop::Stop;
pub use wait::{Condition, Waited};

use crate::{
    attach::Lobby,
    db::{Db, Table},
    event::Events,
    log,
    network::Networks,
    spec,
    volume::Volumes,
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
    /// What containers are whose creator says nothing, until [`Containers::reload`] says otherwise.
    pub spec: spec::Settings,
}

/// All containers.
#[derive(Clone, Debug)]
pub struct Containers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    /// Replaced when the daemon's settings are read again.
    spec: RwLock<Arc<spec::Settings>>,
    db: Db,
    events: Events,
    images: Images,
    networks: Networks,
    volumes: Volumes,
    /// By ID.
    table: RwLock<BTreeMap<String, Container>>,
    /// The names that are taken, of containers that are being made too. Never held over work.
    names: Mutex<HashMap<String, ContainerId>>,
    /// The way to the spawner, from the first start on.
    launcher: OnceLock<Launcher>,
    /// What this machine can do, asked the first time.
    host: OnceLock<spec::Host>,
    filters: launch::Filters,
    /// Sends output away where it is to go.
    forwards: log::Forwards,
    /// Whether a pruning is under way.
    pruning: AtomicBool,
}

/// How long an unmount of a root is waited for.
const UNMOUNT: Duration = Duration::from_secs(10);

/// What became of a call that may find nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Done,
    /// It was so already.
    Nothing,
}

/// One container. It may have been removed since it was found.
#[derive(Clone, Debug)]
pub struct Container(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    id: ContainerId,
    record: watch::Sender<Arc<Record>>,
    /// Held while the record changes, in the database and here.
    writing: Mutex<()>,
    /// Whether a user restarts it: its end is not what it was made to be removed at.
    kept: AtomicBool,
    /// Whether the last life's root is unmounted: until then another mount of it would see the same files twice.
    unmounted: watch::Sender<bool>,
    /// Before the last start by the restart policy.
    delay: Mutex<Duration>,
    /// Held by whoever starts it, notes its end, renames or removes it.
    turn: Arc<tokio::sync::Mutex<()>>,
    data_dir: PathBuf,
    state_dir: PathBuf,
    lobby: Lobby,
}

impl Containers {
    /// Reads what is kept. A record that cannot be read is left out, and told.
    pub fn open(
        settings: Settings,
        db: Db,
        events: Events,
        images: Images,
        networks: Networks,
    ) -> Result<Self> {
        let mut table = BTreeMap::new();
        let mut names = HashMap::new();
        for record in db.all::<Record>(Table::Containers)? {
            match record {
                Ok(record) => {
                    let container = Container::new(record, &settings);
                    names.insert(container.record().name.clone(), container.id().clone());
                    table.insert(container.id().as_str().to_owned(), container);
                }
                Err(error) => tracing::error!(error = %error, "a container cannot be read and is left out"),
            }
        }
        for root in [&settings.data_root, &settings.exec_root] {
            let path = root.join("containers");
            make_private(&path)?;
        }
        make_private(&settings.exec_root.join(launch::PLACE))?;
        let (data, exec) = (&settings.data_root, &settings.exec_root);
        let volumes = Volumes::open(data, exec, db.clone(), events.clone(), images.clone())?;
        for container in table.values() {
            let record = container.record();
            volumes.hold(container.id(), &record.mounts, record.state.phase.has_processes());
        }
        let spec = RwLock::new(Arc::new(settings.spec.clone()));
        Ok(Self(Arc::new(Inner {
            settings,
            spec,
            db,
            events,
            images,
            networks,
            volumes,
            table: RwLock::new(table),
            names: Mutex::new(names),
            launcher: OnceLock::new(),
            host: OnceLock::new(),
            filters: launch::Filters::default(),
            forwards: log::Forwards::default(),
            pruning: AtomicBool::new(false),
        })))
    }

    /// How containers are made here.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// What containers are whose creator says nothing, as of now.
    #[must_use]
    pub fn defaults(&self) -> Arc<spec::Settings> {
        self.0.spec.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other defaults, for what is made and started from now on.
    pub fn reload(&self, defaults: spec::Settings) {
        *self.0.spec.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(defaults);
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

    /// Their volumes.
    #[must_use]
    pub fn volumes(&self) -> &Volumes {
        &self.0.volumes
    }

    /// Where their images and snapshots are.
    #[must_use]
    pub fn images(&self) -> &Images {
        &self.0.images
    }

    /// What this machine can do. Blocks the first time.
    pub fn host(&self) -> Result<&spec::Host> {
        if let Some(host) = self.0.host.get() {
            return Ok(host);
        }
        let host = spec::Host::probe()?;
        Ok(self.0.host.get_or_init(|| host))
    }

    /// What they are connected by.
    #[must_use]
    pub fn networks(&self) -> &Networks {
        &self.0.networks
    }

    /// All of them, by ID.
    #[must_use]
    pub fn all(&self) -> Vec<Container> {
        self.table().values().cloned().collect()
    }

    fn insert(&self, container: &Container) {
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        table.insert(container.id().as_str().to_owned(), container.clone());
    }

    fn forget(&self, container: &Container) {
        self.release_name(&container.record().name, container.id());
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        table.remove(container.id().as_str());
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, ContainerId>> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to the spawner. Blocks, for long only the first time.
    fn launcher(&self) -> std::result::Result<&Launcher, longshore_runtime::launch::LaunchError> {
        if let Some(launcher) = self.0.launcher.get() {
            return Ok(launcher);
        }
        let directory = self.settings().exec_root.join("spawner");
        let launcher = Launcher::connect_or_start(&directory, &self.settings().runtime)?;
        Ok(self.0.launcher.get_or_init(|| launcher))
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
            writing: Mutex::default(),
            kept: AtomicBool::new(false),
            unmounted: watch::Sender::new(true),
            delay: Mutex::default(),
            turn: Arc::default(),
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
        let directory = self.open_state_dir()?.ok_or_else(|| Error::NotRunning { id: id() })?;
        Control::connect(directory.as_fd()).map_err(|source| match source {
            ControlError::Gone => Error::NotRunning { id: id() },
            source => Error::Control { id: id(), source },
        })
    }

    /// Waits for its turn: calls that start it, note its end, rename or remove it come one after the other.
    pub async fn lock(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.0.turn).lock_owned().await
    }

    /// Waits until the root of its last life is unmounted. Blocks, on a thread of the runtime; a disk that hangs is not
    /// waited for longer than others would.
    pub(crate) fn await_unmounted(&self) {
        let mut watch = self.0.unmounted.subscribe();
        if *watch.borrow_and_update() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let unmounted =
                async { tokio::time::timeout(UNMOUNT, watch.wait_for(|unmounted| *unmounted)).await };
            if runtime.block_on(unmounted).is_err() {
                tracing::warn!(id = %self.id(), "its root is still being unmounted after {} s", UNMOUNT.as_secs());
            }
        }
    }

    /// The directory of its monitor, `None` when there is none.
    fn open_state_dir(&self) -> Result<Option<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(self.state_dir(), flags, Mode::empty()) {
            Ok(directory) => Ok(Some(directory)),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => Err(io("open", self.state_dir())(errno.into())),
        }
    }
}

/// Makes a directory for root alone; one that is there is fine.
fn make_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("make", path))
}

fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let object = path.display().to_string();
    move |source| Error::Io { operation, object, source }
}

/// Does work that blocks on a thread that may, to its end even if nobody waits for it any more.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    finish(tokio::task::spawn_blocking(work).await)
}

/// Goes on to the end even if whoever asked for it goes away.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    finish(tokio::spawn(work).await)
}

fn finish<T>(done: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match done {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::ShuttingDown),
        },
    }
}
