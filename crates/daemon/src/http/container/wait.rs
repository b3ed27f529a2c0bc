use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use longshore_api::container::{WaitError, WaitResponse};
use longshore_engine::container::{Condition, Containers};
use serde::Deserialize;

use super::super::error::Failure;
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/wait", post(wait))
}

#[derive(Debug, Deserialize)]
struct Options {
    #[serde(default)]
    condition: String,
}

/// The status goes out at once: a client starts the container once it knows that somebody waits.
async fn wait(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    Query(options): Query<Options>,
) -> Result<Response, Failure> {
    let condition = match options.condition.as_str() {
        "" | "not-running" => Condition::NotRunning,
        "next-exit" => Condition::NextExit,
        "removed" => Condition::Removed,
        other => return Err(Failure::bad(format!("invalid condition: {other:?}"))),
    };
    let waited = containers.find(&id)?.wait(condition);
    let answer = futures_util::stream::once(async move {
        let waited = waited.await;
        let error = (!waited.error.is_empty()).then_some(WaitError { message: waited.error });
        let response = WaitResponse { status_code: waited.code.into(), error };
        serde_json::to_vec(&response).map(|mut text| {
            text.push(b'\n');
            Bytes::from(text)
        })
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(answer)).into_response())
}
