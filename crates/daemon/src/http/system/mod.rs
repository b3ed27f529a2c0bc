//! `/_ping` and what else is asked of the daemon itself.

mod ping;

use axum::{Router, routing::get};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/_ping", get(ping::ping))
}
