//! `GET /containers/{id}/logs`: what a container wrote.

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::stream;
use longshore_api::{
    Version,
    stream::{MULTIPLEXED, RAW, header},
};
use longshore_engine::{
    container::Containers,
    log::{Encode, Line, Logs, Query as LogQuery},
};
use longshore_types::{
    Timestamp,
    time::{self, parse_timestamp},
};

use super::{
    super::{error::Failure, query::Query, version::Requested},
    attach::kind,
};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/logs", get(logs))
}

/// How lines are sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Form {
    /// In frames that say of which stream they are.
    pub(super) framed: bool,
    pub(super) timestamps: bool,
    pub(super) details: bool,
}

async fn logs(
    State(containers): State<Containers>,
    State(logs): State<Logs>,
    Path(id): Path<String>,
    query: Query,
    Requested(version): Requested,
) -> Result<Response, Failure> {
    let wanted = LogQuery {
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        since: timestamp(&query, "since")?,
        until: timestamp(&query, "until")?,
        // What is no number means all, as in Docker.
        tail: query.text("tail").and_then(|text| text.parse().ok()),
        follow: query.flag("follow"),
    };
    if !wanted.stdout && !wanted.stderr {
        return Err(Failure::bad("Bad parameters: you must choose at least one stream"));
    }
    let container = containers.find(&id)?;
    let tty = container.record().config.tty;
    let form = Form { framed: !tty, timestamps: query.flag("timestamps"), details: query.flag("details") };
    let pieces = logs.read(&container, wanted, encode(form)).await?;
    let body = Body::from_stream(stream::unfold(pieces, async |mut pieces| {
        let piece = pieces.next().await?;
        Some((piece, pieces))
    }));
    let media = if tty || version < Version(42) { RAW } else { MULTIPLEXED };
    Ok(([(header::CONTENT_TYPE, media)], body).into_response())
}

/// A time in the query; `None` when it is absent, or 0.
fn timestamp(query: &Query, name: &str) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = query.word(name).filter(|text| *text != "0") else { return Ok(None) };
    let (seconds, nanos) = parse_timestamp(text, time::now())
        .ok_or_else(|| Failure::bad(format!("invalid value for {name:?}: {text:?} is no time")))?;
    Ok(Some(Timestamp(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos)))))
}

/// Writes lines as they are sent.
pub(super) fn encode(form: Form) -> Encode {
    let mut text = Vec::new();
    Box::new(move |line, out| {
        text.clear();
        if form.timestamps {
            text.extend_from_slice(fixed(line.time).as_bytes());
            text.push(b' ');
        }
        if form.details {
            details(line, &mut text);
            text.push(b' ');
        }
        text.extend_from_slice(line.text.as_bytes());
        if form.framed {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&header(kind(line.channel), length));
        }
        out.extend_from_slice(&text);
    })
}

/// A time with nine digits behind the point, so that lines stand below each other.
fn fixed(time: Timestamp) -> String {
    let short = time.to_string();
    let whole = short.trim_end_matches('Z');
    let (seconds, fraction) = whole.split_once('.').unwrap_or((whole, ""));
    format!("{seconds}.{fraction:0<9}Z")
}

/// `key=value,key=value`, escaped as in a query.
fn details(line: &Line<'_>, out: &mut Vec<u8>) {
    for (index, (key, value)) in line.details.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        escape(key, out);
        out.push(b'=');
        escape(value, out);
    }
}

fn escape(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use longshore_engine::{attach::Channel, log::Line};
    use longshore_types::Timestamp;

    use super::{Form, encode};

    #[test]
    fn lines_are_sent_as_docker_sends_them() {
        let line = Line {
            channel: Channel::Stderr,
            time: Timestamp(1_500_000_000),
            text: "hi\n".into(),
            details: BTreeMap::from([("a b".into(), "=".into()), ("c".into(), "d".into())]),
        };
        let sent = |form| {
            let mut out = Vec::new();
            encode(form)(&line, &mut out);
            out
        };
        assert_eq!(sent(Form::default()), b"hi\n");
        assert_eq!(sent(Form { framed: true, ..Form::default() }), b"\x02\0\0\0\0\0\0\x03hi\n");
        let all = sent(Form { framed: false, timestamps: true, details: true });
        assert_eq!(String::from_utf8(all).unwrap(), "1970-01-01T00:00:01.500000000Z a+b=%3D,c=d hi\n");
    }
}
