//! `/exec/…`, and `/containers/{id}/exec`.

mod create;
mod inspect;
mod resize;
mod start;

use axum::Router;

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .merge(create::routes())
        .merge(inspect::routes())
        .merge(resize::routes())
        .merge(start::routes())
}
