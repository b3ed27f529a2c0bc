//! `/images/…` and `/commit`.

mod attestations;
mod commit;
mod create;
mod failure;
mod history;
mod inspect;
mod list;
mod load;
mod pipe;
pub(super) mod platform;
mod prune;
mod push;
mod remove;
mod save;
mod search;
mod tag;
mod transfer;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, post},
};

use super::error::Failure;
use crate::app::App;
pub(super) use failure::{blocking, credentials, failure};
pub(super) use list::{Counts, summary};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/commit", post(commit::commit))
        .route("/images/create", post(create::create))
        .route("/images/get", get(save::several))
        .route("/images/json", get(list::list))
        .route("/images/load", post(load::load))
        .route("/images/prune", post(prune::prune))
        .route("/images/search", get(search::search))
        .route("/images/{name}", delete(remove::remove))
        .route("/images/{name}/attestations", get(attestations::attestations))
        .route("/images/{name}/get", get(save::one))
        .route("/images/{name}/history", get(history::history))
        .route("/images/{name}/json", get(inspect::inspect))
        .route("/images/{name}/push", post(push::push))
        .route("/images/{name}/tag", post(tag::tag))
        // Archives are as long as they are.
        .layer(DefaultBodyLimit::disable())
}
