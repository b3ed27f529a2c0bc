use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use longshore_api::container::{WaitError, WaitResponse};
use longshore_engine::container::{Condition, Containers};

use super::super::{error::Failure, query::Query};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/wait", post(wait))
}

/// The status goes out at once: a client starts the container once it knows that somebody waits.
async fn wait(
    State(containers): State<Containers>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Failure> {
    let condition = match query.text("condition").unwrap_or_default() {
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
