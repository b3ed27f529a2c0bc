//! `/events`.

mod filter;
mod listen;

use axum::{Router, routing::get};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/events", get(listen::listen))
}
