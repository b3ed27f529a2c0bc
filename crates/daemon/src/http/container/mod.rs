//! `/containers/…`.

mod create;
mod inspect;
mod kill;
mod list;
mod pause;
mod remove;
mod rename;
mod restart;
mod start;
mod stop;
mod unpause;
mod wait;

use axum::Router;

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .merge(create::routes())
        .merge(inspect::routes())
        .merge(kill::routes())
        .merge(list::routes())
        .merge(pause::routes())
        .merge(remove::routes())
        .merge(rename::routes())
        .merge(restart::routes())
        .merge(start::routes())
        .merge(stop::routes())
        .merge(unpause::routes())
        .merge(wait::routes())
}
