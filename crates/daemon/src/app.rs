//! The services, put together. Each route takes the ones it needs, and no more.

use std::path::{Path, PathBuf};

use anyhow::Context;
use axum::extract::FromRef;
use longshore_engine::{
    container::{Containers, Settings},
    db::Db,
    event::Events,
    spec,
};
use longshore_image::Images;
use longshore_registry::Client;
use longshore_store::Store;

/// What routes take their services from.
#[derive(Clone, Debug, FromRef)]
pub(crate) struct App {
    pub(crate) containers: Containers,
    pub(crate) events: Events,
    pub(crate) images: Images,
}

impl App {
    /// Opens what is kept below `data` and finds what runs by `state`. `runtime` is the program that starts
    /// containers.
    pub(crate) async fn open(data: &Path, state: &Path, runtime: PathBuf) -> anyhow::Result<Self> {
        let (data, state) = (data.to_owned(), state.to_owned());
        // Reading the databases blocks.
        let app = tokio::task::spawn_blocking(move || Self::open_blocking(&data, &state, runtime)).await??;
        app.containers.restore().await?;
        Ok(app)
    }

    fn open_blocking(data: &Path, state: &Path, runtime: PathBuf) -> anyhow::Result<Self> {
        let make =
            |path: &Path| std::fs::create_dir_all(path).with_context(|| format!("make {}", path.display()));
        make(state)?;
        let (store, recovery) = Store::open(data, store_options())?;
        if !recovery.is_clean() {
            tracing::warn!(?recovery, "the store was not closed in order");
        }
        let registry = Client::new(longshore_registry::Config::default())?;
        let images = Images::new(store, registry, longshore_image::Settings::default());
        let events = Events::default();
        let db = Db::open(&data.join("engine.db"))?;
        let spec = spec::Settings { data_root: data.to_owned(), ..spec::Settings::default() };
        let settings = Settings { data_root: data.to_owned(), exec_root: state.to_owned(), runtime, spec };
        let containers = Containers::open(settings, db, events.clone(), images.clone())?;
        Ok(Self { containers, events, images })
    }
}

/// The store shares its data root with what else the engine keeps.
fn store_options() -> longshore_store::Options {
    let others = ["containers", "engine.db", "engine.db-shm", "engine.db-wal", "volumes"];
    longshore_store::Options { others: others.map(Into::into).to_vec(), ..Default::default() }
}
