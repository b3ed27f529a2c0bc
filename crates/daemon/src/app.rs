//! The services, put together. Each route takes the ones it needs, and no more.

use std::path::{Path, PathBuf};

use anyhow::Context;
use axum::extract::FromRef;
use longshore_engine::{
    container::{Containers, Settings},
    db::Db,
    event::Events,
    exec::Execs,
    health::Checks,
    image::Library,
    log::Logs,
    network::{self, Networks},
    stats::Stats,
    volume::Volumes,
};
use longshore_image::Images;
use longshore_registry::Client;
use longshore_store::Store;

use crate::{config::Config, system::System};

/// What routes take their services from.
#[derive(Clone, Debug, FromRef)]
pub(crate) struct App {
    pub(crate) containers: Containers,
    pub(crate) events: Events,
    pub(crate) execs: Execs,
    pub(crate) images: Images,
    pub(crate) library: Library,
    pub(crate) logs: Logs,
    pub(crate) networks: Networks,
    pub(crate) stats: Stats,
    pub(crate) system: System,
    pub(crate) volumes: Volumes,
}

impl App {
    /// Opens what is kept below the data root and finds what runs by the exec root. `runtime` is the program that
    /// starts containers.
    pub(crate) async fn open(config: Config, runtime: PathBuf) -> anyhow::Result<Self> {
        // Reading the databases blocks.
        let app = tokio::task::spawn_blocking(move || Self::open_blocking(config, runtime)).await??;
        app.containers.restore().await?;
        Checks::begin(app.execs.clone());
        Ok(app)
    }

    fn open_blocking(config: Config, runtime: PathBuf) -> anyhow::Result<Self> {
        let (data, state) = (config.data_root.as_path(), config.exec_root.as_path());
        let make =
            |path: &Path| std::fs::create_dir_all(path).with_context(|| format!("make {}", path.display()));
        make(state)?;
        let is_new = !data.join("engine.db").exists();
        let (store, recovery) = Store::open(data, store_options())?;
        if !is_new && !recovery.is_clean() {
            tracing::warn!(?recovery, "the store was not closed in order");
        }
        let registry = Client::new(config.registry())?;
        let images = Images::new(store, registry, config.images());
        let events = Events::default();
        let db = Db::open(&data.join("engine.db"))?;
        let spec = config.containers()?;
        let settings = Settings { data_root: data.to_owned(), exec_root: state.to_owned(), runtime, spec };
        let mut settings_of_networks = network::Settings::new(state);
        settings_of_networks.apply(&config.network)?;
        settings_of_networks.dns = network::Resolvers {
            servers: config.dns.clone(),
            search: config.dns_search.clone(),
            options: config.dns_opts.clone(),
        };
        let networks = Networks::open(settings_of_networks, db.clone(), events.clone())?;
        let containers = Containers::open(settings, db, events.clone(), images.clone(), networks.clone())?;
        let execs = Execs::new(containers.clone());
        let system = System::open(config)?;
        let library = Library::new(images.clone(), containers.clone());
        let stats = Stats::new(containers.clone());
        let volumes = containers.volumes().clone();
        let logs = Logs::default();
        Ok(Self { containers, events, execs, images, library, logs, networks, stats, system, volumes })
    }
}

/// The store shares its data root with what else the engine keeps.
fn store_options() -> longshore_store::Options {
    let others = [
        "containers",
        "engine-id",
        "engine-id.new",
        "engine.db",
        "engine.db-shm",
        "engine.db-wal",
        "volumes",
    ];
    longshore_store::Options { others: others.map(Into::into).to_vec(), ..Default::default() }
}
