//! `/networks/…`.

mod connect;
mod create;
mod disconnect;
mod filter;
mod inspect;
mod list;
mod prune;
mod remove;

use axum::{
    Router,
    routing::{get, post},
};

use super::error::Failure;
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/networks", get(list::list))
        .route("/networks/", get(list::list))
        .route("/networks/create", post(create::create))
        .route("/networks/prune", post(prune::prune))
        .route("/networks/{id}", get(inspect::inspect).delete(remove::remove))
        .route("/networks/{id}/connect", post(connect::connect))
        .route("/networks/{id}/disconnect", post(disconnect::disconnect))
}

/// Does what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> longshore_engine::network::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
