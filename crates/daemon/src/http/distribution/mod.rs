//! `/distribution/…`: what a registry has under a name.

mod inspect;

use axum::{Router, routing::get};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/distribution/{name}/json", get(inspect::inspect))
}
