//! JSON in bodies, both ways.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use longshore_api::lenient;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::error::Failure;

/// The longest document that is taken.
const LIMIT: usize = 4 << 20;
/// How long a client may take between two pieces of a document.
const PATIENCE: Duration = Duration::from_secs(30);

/// A document of JSON: what a request brings, by the rules of `longshore_api::lenient`, or what it is answered with.
///
/// No body at all is the empty document; `Json<Option<T>>` tells the two apart.
#[derive(Clone, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A request's document, read as two types: the one has fields that the other does not know.
#[derive(Clone, Debug)]
pub(crate) struct Twice<A, B>(pub(crate) A, pub(crate) B);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        let Some(value) = document(request).await? else { return empty().map(Self) };
        Ok(Self(lenient::from_value(value)?))
    }
}

impl<S: Sync, A: DeserializeOwned, B: DeserializeOwned> FromRequest<S> for Twice<A, B> {
    type Rejection = Failure;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Failure> {
        let Some(value) = document(request).await? else { return Ok(Self(empty()?, empty()?)) };
        Ok(Self(lenient::from_value(value.clone())?, lenient::from_value(value)?))
    }
}

/// What no body means.
fn empty<T: DeserializeOwned>() -> Result<T, Failure> {
    let read = lenient::from_value(Value::Null);
    Ok(read.or_else(|_| lenient::from_value(Value::Object(serde_json::Map::new())))?)
}

/// The document of a request, if it has a body.
async fn document(request: Request) -> Result<Option<Value>, Failure> {
    let (parts, body) = request.into_parts();
    let has_type = check_type(&parts.headers)?;
    let text = read(body).await?;
    if text.is_empty() {
        let is_none = parts.headers.get(header::TRANSFER_ENCODING).is_none();
        return if is_none { Ok(None) } else { Err(lenient::ReadError::Empty.into()) };
    }
    if !has_type {
        return Err(wrong_type(""));
    }
    let value = lenient::value_of(&text)?;
    if value.is_array() {
        // It would be read as the fields of an object, in their order.
        return Err(Failure::bad("invalid JSON: cannot unmarshal array into an object"));
    }
    Ok(Some(value))
}

/// Whether there is a content type. One that is not JSON's is refused.
fn check_type(headers: &HeaderMap) -> Result<bool, Failure> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(false) };
    let value = value.to_str().unwrap_or("?");
    if value.is_empty() {
        return Ok(false);
    }
    let kind = value.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") { Ok(true) } else { Err(wrong_type(value)) }
}

fn wrong_type(found: &str) -> Failure {
    Failure::bad(format!("unsupported Content-Type header ({found}): must be 'application/json'"))
}

/// The whole body, up to the limit.
async fn read(body: Body) -> Result<Bytes, Failure> {
    let mut pieces = body.into_data_stream();
    let mut text = BytesMut::new();
    loop {
        let piece = match tokio::time::timeout(PATIENCE, pieces.next()).await {
            Ok(None) => return Ok(text.freeze()),
            Ok(Some(Ok(piece))) => piece,
            Ok(Some(Err(error))) => {
                return Err(Failure::bad(format!("invalid JSON: unexpected EOF: {error}")));
            }
            Err(_) => {
                return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "the request's body did not come"));
            }
        };
        if text.len() + piece.len() > LIMIT {
            let message = format!("the request's body is larger than {LIMIT} bytes");
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        text.extend_from_slice(&piece);
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}
