use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::post,
};
use longshore_engine::container::{Containers, Effect, Stop};
use serde::Deserialize;

use super::super::error::Failure;
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/stop", post(stop))
}

/// How to stop, in a query.
#[derive(Debug, Deserialize)]
pub(super) struct Options {
    signal: Option<String>,
    t: Option<String>,
}

impl TryFrom<Options> for Stop {
    type Error = Failure;

    fn try_from(options: Options) -> Result<Self, Failure> {
        let bad = |text: &str| Failure::bad(format!("t is a number of seconds, not {text:?}"));
        let seconds = options.t.as_deref().filter(|text| !text.is_empty());
        let timeout = seconds.map(|text| text.parse().map_err(|_| bad(text))).transpose()?;
        Ok(Self { signal: options.signal, timeout })
    }
}

async fn stop(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    Query(options): Query<Options>,
) -> Result<StatusCode, Failure> {
    let stop = options.try_into()?;
    let container = containers.find(&id)?;
    Ok(match containers.stop(&container, stop).await? {
        Effect::Done => StatusCode::NO_CONTENT,
        Effect::Nothing => StatusCode::NOT_MODIFIED,
    })
}
