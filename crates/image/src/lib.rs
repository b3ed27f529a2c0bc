//! What is done with images: pull, push, load, save, import, export, commit, tag, remove, list, inspect, prune.
//!
//! [`Images`] is the service. It knows the store and the registries, and no HTTP, no version of an API and no
//! containers: values come up as structs, the only calls up are to a [`longshore_types::Progress`]. One file is
//! one verb.
//!
//! ```text
//! pull ─▶ registry ─▶ bytes ─┐
//! load ─▶ archive  ─▶ bytes ─┼▶ unpack ─▶ prepared layers and blobs ─▶ Store::commit_all: visible, all or nothing
//! import, commit   ─▶ bytes ─┘
//! ```
//!
//! # Rules
//!
//! * An image is its configuration: the image's ID is that blob's digest. The bytes of manifests, indexes and
//!   configurations are kept as they came.
//! * A future that is dropped stops what it did. Nothing half made is visible; partial downloads stay, and the
//!   next pull goes on from there.
//! * Work of the disk and of the processor is done on threads that may block, never on the runtime's.

mod attestation;
pub mod changes;
mod commit;
mod create;
mod error;
mod export;
pub mod filter;
mod flight;
mod history;
mod import;
mod inspect;
pub mod labels;
mod layer_tar;
mod list;
mod load;
mod manifests;
mod prune;
mod pull;
mod push;
mod recipe;
mod remote;
mod remove;
mod resolve;
mod save;
mod search;
mod settings;
mod tag;
pub mod unpack;
mod view;

use std::sync::{Arc, PoisonError, RwLock};

pub use attestation::Attestation;
pub use commit::{Changed, CommitError, CommitOptions};
pub use error::{Error, Result};
pub use filter::{FilterError, Filters};
use flight::Flights;
pub use history::HistoryStep;
pub use import::{ImportError, ImportOptions};
pub use inspect::{Details, LayerDetails};
pub use list::{ListOptions, Summary};
pub use load::{LoadError, LoadOptions, Loaded};
use longshore_registry::Client;
use longshore_store::Store;
pub use manifests::{ManifestState, ManifestSummary};
pub use prune::{PruneOptions, Pruned, Stayed, Why};
pub use pull::{PullOptions, Pulled};
pub use push::{PushOptions, Pushed};
pub use remote::Remote;
pub use remove::{Keeper, Kept, Nobody, RemoveError, RemoveOptions, Removed, Step, User, Users};
pub use save::{SaveError, SaveOptions};
pub use settings::Settings;
pub use tag::{TagError, new_tag};
use tokio::sync::Semaphore;

/// All that can be done with the images of one store.
#[derive(Clone, Debug)]
pub struct Images(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    /// Replaced when settings are read again; who has begun goes on with what it has.
    turns: RwLock<Arc<Turns>>,
    /// Layers being fetched, for everybody.
    flights: Flights<pull::LayerKey, pull::Stage, Arc<pull::Landed>>,
}

/// What may change while the service runs.
#[derive(Debug)]
struct Turns {
    registry: Client,
    settings: Arc<Settings>,
    /// Whose turn it is to fetch a layer.
    downloads: Arc<Semaphore>,
}

impl Turns {
    fn new(registry: Client, settings: Settings) -> Self {
        let downloads = Arc::new(Semaphore::new(settings.max_concurrent_downloads.max(1)));
        Self { registry, settings: Arc::new(settings), downloads }
    }
}

impl Images {
    /// The images of `store`, and of the registries that `registry` speaks with.
    #[must_use]
    pub fn new(store: Store, registry: Client, settings: Settings) -> Self {
        let turns = RwLock::new(Arc::new(Turns::new(registry, settings)));
        Self(Arc::new(Inner { store, turns, flights: Flights::default() }))
    }

    /// Speaks with registries by other settings from now on.
    pub fn reload(&self, registry: Client, settings: Settings) {
        let turns = Arc::new(Turns::new(registry, settings));
        *self.0.turns.write().unwrap_or_else(PoisonError::into_inner) = turns;
    }

    fn turns(&self) -> Arc<Turns> {
        self.0.turns.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the images are.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Who speaks with registries.
    #[must_use]
    pub fn registry(&self) -> Client {
        self.turns().registry.clone()
    }

    /// How this service behaves.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.turns().settings)
    }

    fn flights(&self) -> &Flights<pull::LayerKey, pull::Stage, Arc<pull::Landed>> {
        &self.0.flights
    }

    fn downloads(&self) -> Arc<Semaphore> {
        Arc::clone(&self.turns().downloads)
    }

    /// Does work that blocks: the store's, the disk's.
    pub(crate) async fn blocking<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Store) -> Result<T> + Send + 'static,
    {
        let store = self.0.store.clone();
        spawn_blocking(move || work(&store)).await
    }
}

/// Does work that blocks on a thread of its own.
pub(crate) async fn spawn_blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::ShuttingDown),
        },
    }
}
