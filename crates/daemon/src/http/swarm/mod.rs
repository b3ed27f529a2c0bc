//! `/swarm`, `/nodes`, `/services`, `/tasks`, `/secrets`, `/configs`: this engine is in no swarm.

use axum::Router;

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
}
