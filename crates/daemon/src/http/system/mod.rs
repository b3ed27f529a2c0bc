//! `/_ping` and what else is asked of the daemon itself.

mod auth;
mod build;
mod df;
mod info;
mod ping;
mod version;

use axum::{
    Router,
    routing::{any, get, post},
};

use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/_ping", get(ping::ping))
        .route("/auth", post(auth::auth))
        .route("/build", post(build::build))
        .route("/build/cancel", post(build::build))
        .route("/build/prune", post(build::prune))
        .route("/grpc", any(build::session))
        .route("/info", get(info::info))
        .route("/session", post(build::session))
        .route("/system/df", get(df::df))
        .route("/version", get(version::version))
}
