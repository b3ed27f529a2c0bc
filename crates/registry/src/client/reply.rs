//! Reading replies: never more than a limit, and refusals in the words of the registry.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use reqwest::Response;
use serde::Deserialize;
use tokio::time::timeout;

use super::{connection::failure, retry::retry_after, send::Origin};
use crate::{
    Error,
    error::{Reply, shown},
};

/// How much of a refusal is read, in bytes; the rest is nobody's loss.
const MAX_REFUSAL: usize = 64 << 10;
/// Space set aside at once for a body whose length is claimed.
const FIRST_SPACE: u64 = 256 << 10;

/// The whole body, if it has at most `limit` bytes.
pub(crate) async fn read_bounded(
    mut response: Response,
    limit: u64,
    what: &'static str,
    host: &str,
    stall: Duration,
) -> Result<Bytes, Error> {
    let too_large = || Error::TooLarge { host: host.to_owned(), what, limit };
    let claimed = response.content_length();
    if claimed.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let space = claimed.unwrap_or_default().min(FIRST_SPACE);
    let mut body = BytesMut::with_capacity(usize::try_from(space).unwrap_or_default());
    // One wait for all: a body this small that comes in drops is as good as none.
    let read = async {
        while let Some(piece) = response.chunk().await.map_err(|error| failure(host, error))? {
            if (body.len() + piece.len()) as u64 > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        Ok(())
    };
    timeout(stall, read)
        .await
        .map_err(|_| Error::Stalled { host: host.to_owned(), seconds: stall.as_secs() })??;
    Ok(body.freeze())
}

#[derive(Deserialize)]
struct RawErrors {
    errors: Vec<RawError>,
}

#[derive(Deserialize)]
struct RawError {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// Other shapes that token servers and gateways use.
#[derive(Deserialize)]
struct RawDetails {
    #[serde(alias = "message", alias = "error_description", alias = "error")]
    details: String,
}

/// What a reply that is no success says.
pub(crate) fn reply(status: StatusCode, body: &[u8]) -> Box<Reply> {
    let (code, message) = match serde_json::from_slice::<RawErrors>(body) {
        Ok(raw) => raw.errors.into_iter().next().map_or_else(Default::default, |first| {
            (first.code.unwrap_or_default(), first.message.unwrap_or_default())
        }),
        Err(_) => (String::new(), plain(body)),
    };
    // The code is part of a sentence; what is no code is dropped.
    let is_code = code.len() <= 64 && code.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    let code = if is_code { code } else { String::new() };
    Box::new(Reply { status: status.as_u16(), code, message: shown(&message) })
}

/// The words of a body that is not in the form of the protocol; nothing of a page of HTML.
fn plain(body: &[u8]) -> String {
    if let Ok(raw) = serde_json::from_slice::<RawDetails>(body) {
        return raw.details;
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.starts_with(['<', '{', '[']) || text.contains('\0') { String::new() } else { text.to_owned() }
}

/// The error of a reply that is no success. `url` and `method` are those of the request.
pub(crate) async fn refusal(response: Response, origin: &Origin<'_>, url: &str, method: &str) -> Error {
    let status = response.status();
    let retry_after = retry_after(response.headers(), SystemTime::now());
    let lacks_scope = lacks_scope(response.headers());
    let body = beginning(response, origin.stall).await;
    let mut reply = reply(status, &body);
    if let Some(account) = origin.account {
        reply.message = account.redact(&reply.message);
    }
    let host = origin.host.to_owned();
    let repository = origin.repository.to_owned();
    match status {
        StatusCode::UNAUTHORIZED => {
            if lacks_scope {
                // The token was good, but not for this: no word of logging in again.
                "DENIED".clone_into(&mut reply.code);
                "requested access to the resource is denied".clone_into(&mut reply.message);
            }
            if reply.code.is_empty() {
                "UNAUTHORIZED".clone_into(&mut reply.code);
            }
            if reply.message.is_empty() {
                "authentication required".clone_into(&mut reply.message);
            }
            let url = url.split('?').next().unwrap_or_default().to_owned();
            Error::Unauthorized { method: method.to_owned(), url, reply }
        }
        StatusCode::FORBIDDEN => {
            if reply.code.is_empty() {
                "DENIED".clone_into(&mut reply.code);
            }
            Error::Denied { host, repository, action: origin.action, reply }
        }
        StatusCode::TOO_MANY_REQUESTS => {
            if reply.code.is_empty() {
                "TOOMANYREQUESTS".clone_into(&mut reply.code);
            }
            Error::TooManyRequests { host, reply, retry_after }
        }
        status => Error::Status {
            host,
            repository,
            action: origin.action,
            status: status.as_u16(),
            reply,
            retry_after,
        },
    }
}

/// Whether a challenge says that the token does not go as far (RFC 6750, section 3.1).
fn lacks_scope(headers: &http::HeaderMap) -> bool {
    let challenges = headers.get_all(http::header::WWW_AUTHENTICATE).into_iter();
    challenges.filter_map(|challenge| challenge.to_str().ok()).any(|challenge| {
        challenge.to_ascii_lowercase().replace(' ', "").contains("error=\"insufficient_scope\"")
    })
}

/// As much of a body as counts. What breaks or stalls ends it.
async fn beginning(mut response: Response, stall: Duration) -> Vec<u8> {
    let mut body = Vec::new();
    let read = async {
        while body.len() < MAX_REFUSAL {
            let Ok(Some(piece)) = response.chunk().await else { break };
            body.extend_from_slice(&piece[..piece.len().min(MAX_REFUSAL - body.len())]);
        }
    };
    drop(timeout(stall, read).await);
    body
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::reply;

    #[test]
    fn refusals_are_said_as_docker_says_them() {
        for (body, said) in [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#,
                "manifest unknown: manifest unknown",
            ),
            (r#"{"errors":[{"code":"DENIED","message":"no\nway\u001b[31m"}]}"#, "denied: no way[31m"),
            (r#"{"errors":[{"code":"DENIED","message":null}]}"#, "denied"),
            (r#"{"errors":[]}"#, "status 418"),
            (r#"{"details":"incorrect username or password"}"#, "status 418: incorrect username or password"),
            (r#"{"error":"invalid_grant"}"#, "status 418: invalid_grant"),
            ("short and stout", "status 418: short and stout"),
            ("<html><body>Bad gateway", "status 418"),
            ("{\"broken", "status 418"),
            ("", "status 418"),
        ] {
            assert_eq!(reply(StatusCode::IM_A_TEAPOT, body.as_bytes()).to_string(), said, "{body}");
        }
        let long = format!(r#"{{"errors":[{{"code":"{}","message":"{0}"}}]}}"#, "a b".repeat(50_000));
        assert!(reply(StatusCode::IM_A_TEAPOT, long.as_bytes()).to_string().len() < 400);
    }
}
