//! Driver `journald`: fields, each `NAME=value` or, where the value has line breaks, name, length and value.

use std::collections::BTreeMap;

use super::{Facts, Format, Limits, Remote, Retry, address::Target, frame, part::Parts, text, tls::Tls};
use crate::{attach::Channel, log::Line};

/// Where the journal takes messages.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

pub(super) fn read() -> Remote {
    Remote {
        target: Target::Unixgram(SOCKET.into()),
        tls: Tls::default(),
        format: Format::Journald,
        retry: Retry::default(),
        limits: Limits::default(),
        is_lazy: false,
    }
}

#[derive(Debug)]
pub(in crate::log) struct Encoder {
    /// What every message says, encoded.
    fixed: Vec<u8>,
    /// Messages so far.
    ordinal: u64,
    parts: Parts,
}

impl Encoder {
    pub(super) fn new(facts: &Facts) -> Self {
        let epoch = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
        let own = [
            ("CONTAINER_ID", facts.short_id()),
            ("CONTAINER_ID_FULL", &facts.id),
            ("CONTAINER_NAME", &facts.name),
            ("CONTAINER_TAG", &facts.tag),
            ("IMAGE_NAME", &facts.image),
            ("SYSLOG_IDENTIFIER", &facts.tag),
            ("CONTAINER_LOG_EPOCH", &epoch),
        ];
        let mut fields: BTreeMap<String, &str> =
            own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for (key, value) in &facts.attributes {
            let name = name(key);
            if !name.is_empty() {
                fields.insert(name, value);
            }
        }
        let mut fixed = Vec::new();
        for (name, value) in fields {
            field(&name, value, &mut fixed);
        }
        Self { fixed, ordinal: 0, parts: Parts::default() }
    }

    pub(super) fn encode(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        self.ordinal += 1;
        let priority = if line.channel == Channel::Stderr { "3" } else { "6" };
        let mut message = Vec::with_capacity(self.fixed.len() + line.text.len() + 256);
        field("MESSAGE", text(line), &mut message);
        field("PRIORITY", priority, &mut message);
        field("SYSLOG_TIMESTAMP", &line.time.to_string(), &mut message);
        field("CONTAINER_LOG_ORDINAL", &self.ordinal.to_string(), &mut message);
        if let Some(part) = self.parts.of(line) {
            field("CONTAINER_PARTIAL_ID", &part.id, &mut message);
            field("CONTAINER_PARTIAL_ORDINAL", &part.ordinal.to_string(), &mut message);
            field("CONTAINER_PARTIAL_LAST", &part.is_last.to_string(), &mut message);
            if !part.is_last {
                field("CONTAINER_PARTIAL_MESSAGE", "true", &mut message);
            }
        }
        message.extend_from_slice(&self.fixed);
        frame::push(out, b"", &message);
    }
}

fn field(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// The name of a field for a label or variable: capital letters, digits and underscores, none of those at its start.
fn name(key: &str) -> String {
    let letter = |letter: char| match letter.to_ascii_uppercase() {
        upper @ ('A'..='Z' | '0'..='9') => upper,
        _ => '_',
    };
    key.chars().map(letter).collect::<String>().trim_start_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use longshore_types::Timestamp;

    use super::*;

    #[test]
    fn fields_of_a_message() {
        let mut facts = Facts::example();
        facts.attributes.insert("_my.label".into(), "a\nb".into());
        let line = Line {
            channel: Channel::Stderr,
            time: Timestamp(5_000_000_000),
            text: "hello\n".into(),
            details: BTreeMap::new(),
        };
        let mut out = Vec::new();
        Encoder::new(&facts).encode(&line, &mut out);
        let message = frame::all(&out).next().unwrap().message.to_vec();
        let has = |bytes: &[u8]| message.windows(bytes.len()).any(|window| window == bytes);
        assert!(message.starts_with(b"MESSAGE=hello\nPRIORITY=3\n"));
        for field in [
            "SYSLOG_TIMESTAMP=1970-01-01T00:00:05Z\n",
            "CONTAINER_LOG_ORDINAL=1\n",
            "CONTAINER_ID=0123456789ab\n",
            "CONTAINER_NAME=web\n",
            "TIER=1\n",
            "IMAGE_NAME=busybox\n",
        ] {
            assert!(has(field.as_bytes()), "{field}");
        }
        assert!(has(b"\nMY_LABEL\n\x03\0\0\0\0\0\0\0a\nb\n"));
    }
}
