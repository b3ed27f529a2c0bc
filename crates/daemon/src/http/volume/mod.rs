//! `/volumes/…`.

mod create;
mod inspect;
mod list;
mod prune;
mod remove;
mod update;

use axum::Router;
use longshore_api::volume::Volume;
use longshore_engine::volume::{self, Error, Volumes};

use super::error::Failure;
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .merge(create::routes())
        .merge(inspect::routes())
        .merge(list::routes())
        .merge(prune::routes())
        .merge(remove::routes())
        .merge(update::routes())
}

/// A volume as it is shown.
pub(super) fn shown(volumes: &Volumes, volume: volume::Volume) -> Volume {
    let mountpoint = volumes.path(&volume.name).display().to_string();
    Volume::local(volume.name, mountpoint, volume.created, volume.labels, volume.options)
}

/// Does work that blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    volumes: &Volumes,
    work: impl FnOnce(&Volumes) -> Result<T, Error> + Send + 'static,
) -> Result<T, Failure> {
    let volumes = volumes.clone();
    match tokio::task::spawn_blocking(move || work(&volumes)).await {
        Ok(done) => Ok(done?),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(longshore_engine::container::Error::ShuttingDown.into()),
        },
    }
}
