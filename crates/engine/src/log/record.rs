//! One line of a log file.

use std::{borrow::Cow, collections::BTreeMap};

use longshore_types::{Timestamp, time::parse_rfc3339};
use serde::Deserialize;

use crate::attach::Channel;

/// A piece of output: a line, or a part of one that was too long.
#[derive(Debug)]
pub struct Line<'a> {
    pub channel: Channel,
    pub time: Timestamp,
    /// With its line break, where it has one.
    pub text: Cow<'a, str>,
    /// Labels and variables, as the log's options ask for them.
    pub details: BTreeMap<String, String>,
}

/// `{"log":"text\n","stream":"stdout","attrs":{…},"time":"…"}`.
#[derive(Debug, Deserialize)]
struct Json<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
}

/// Reads a line of a log file; `None` for what is none, which a reader passes over.
pub(super) fn parse(line: &[u8]) -> Option<Line<'_>> {
    let json: Json<'_> = serde_json::from_slice(line).ok()?;
    let channel = if json.stream == "stderr" { Channel::Stderr } else { Channel::Stdout };
    Some(Line { channel, time: timestamp(&json.time)?, text: json.log, details: json.attrs })
}

/// The time of a line, which is at its end. Cheaper than reading all of it.
pub(super) fn time(line: &[u8]) -> Option<Timestamp> {
    const KEY: &[u8] = b",\"time\":\"";
    let tail = &line[line.len().saturating_sub(64)..];
    let found = tail.windows(KEY.len()).rposition(|window| window == KEY);
    let Some(at) = found else { return parse(line).map(|line| line.time) };
    let rest = &tail[at + KEY.len()..];
    let end = rest.iter().position(|byte| *byte == b'"')?;
    timestamp(std::str::from_utf8(&rest[..end]).ok()?)
}

fn timestamp(text: &str) -> Option<Timestamp> {
    let (seconds, nanos) = parse_rfc3339(text)?;
    Some(Timestamp(seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(nanos))?))
}

#[cfg(test)]
mod tests {
    use super::{Channel, parse, time};

    #[test]
    fn lines_are_read_and_nonsense_is_none() {
        let text = r#"{"log":"a\u003cb\n","stream":"stderr","attrs":{"k":"v"},"time":"2026-01-02T03:04:05.000000006Z"}"#;
        let line = parse(text.as_bytes()).unwrap();
        assert_eq!((&*line.text, line.channel, line.details["k"].as_str()), ("a<b\n", Channel::Stderr, "v"));
        assert_eq!(line.time.to_string(), "2026-01-02T03:04:05.000000006Z");
        assert_eq!(time(text.as_bytes()), Some(line.time));
        // The words of another program, in the place where a time is.
        let fake = r#"{"log":"x","time":"2026-01-02T03:04:05Z","stream":"stdout"}"#;
        assert_eq!(time(fake.as_bytes()), parse(fake.as_bytes()).map(|line| line.time));
        for nonsense in [&b""[..], b"{", b"null", br#"{"log":"x"}"#, b"\xff", br#"{"time":"never"}"#] {
            assert!(parse(nonsense).is_none() && time(nonsense).is_none());
        }
    }
}
