//! `/containers/…`.

mod archive;
mod attach;
mod attach_ws;
mod changes;
mod create;
mod export;
mod inspect;
mod kill;
mod list;
mod logs;
mod pause;
mod pipe;
mod prune;
mod remove;
mod rename;
mod resize;
mod restart;
mod start;
mod stats;
mod stop;
mod top;
mod unpause;
mod update;
mod wait;

use axum::Router;

pub(super) use attach::{framed, media};
pub(super) use resize::size;

use crate::app::App;
pub(super) use list::summary;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .merge(attach::routes())
        .merge(attach_ws::routes())
        .merge(archive::routes())
        .merge(changes::routes())
        .merge(create::routes())
        .merge(export::routes())
        .merge(inspect::routes())
        .merge(kill::routes())
        .merge(list::routes())
        .merge(logs::routes())
        .merge(pause::routes())
        .merge(prune::routes())
        .merge(remove::routes())
        .merge(rename::routes())
        .merge(resize::routes())
        .merge(restart::routes())
        .merge(start::routes())
        .merge(stats::routes())
        .merge(stop::routes())
        .merge(top::routes())
        .merge(unpause::routes())
        .merge(update::routes())
        .merge(wait::routes())
}
