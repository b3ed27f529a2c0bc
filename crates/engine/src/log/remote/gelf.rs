//! Driver `gelf`: JSON documents, compressed datagrams in chunks or a stream with a zero after each.

use std::{io::Write, time::Duration};

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use serde_json::{Map, Value, json};

use super::{
    Facts, Limits, Remote, Retry,
    address::{Address, Target},
    frame,
    options::{Options, bad},
    text,
    tls::Tls,
};
use crate::{
    attach::Channel,
    log::{Error, Line},
};

/// Bytes of a datagram, as Docker's library has it.
const DATAGRAM: usize = 1420;
/// Of which the head of a chunk takes some.
const HEAD: usize = 12;
/// Chunks that a message may have.
const CHUNKS: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Gzip,
    Zlib,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    codec: Codec,
    /// 0 to 9.
    level: u32,
    is_stream: bool,
}

pub(super) fn read(options: &Options<'_>) -> Result<Remote, Error> {
    let text = options.get("gelf-address").ok_or_else(|| bad("gelf-address is a required parameter"))?;
    let address = Address::read(text);
    let is_stream = match address.scheme {
        "udp" => false,
        "tcp" => true,
        _ => return Err(bad("gelf: endpoint needs to be TCP or UDP")),
    };
    if address.host_and_port().is_none_or(|(_, port)| port.is_empty()) {
        return Err(bad("gelf: please provide gelf-address as proto://host:port"));
    }
    let (level, kind) = (options.get("gelf-compression-level"), options.get("gelf-compression-type"));
    if is_stream && (level.is_some() || kind.is_some()) {
        return Err(bad("compression is only supported on UDP"));
    }
    let unknown = |key: &str, value: &str| {
        bad(format!("unknown value {value:?} for log opt {key:?} for gelf log driver"))
    };
    let codec = match kind.unwrap_or("gzip") {
        "gzip" => Codec::Gzip,
        "zlib" => Codec::Zlib,
        "none" => Codec::None,
        other => return Err(unknown("gelf-compression-type", other)),
    };
    let level = match level.map(|text| (text, text.parse::<i32>())) {
        None => 1,
        Some((_, Ok(-1))) => 6,
        Some((_, Ok(level @ 0..=9))) => level.unsigned_abs(),
        Some((text, _)) => return Err(unknown("gelf-compression-level", text)),
    };
    for option in ["gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"] {
        if !is_stream && options.has(option) {
            return Err(bad(format!("{option:?} is only valid for TCP")));
        }
    }
    let delay = options.number("gelf-tcp-reconnect-delay")?.map(|delay| Duration::from_secs(delay.into()));
    let retry = Retry {
        wait: delay.unwrap_or(Retry::default().wait),
        most: options.number("gelf-tcp-max-reconnect")?,
    };
    let place = address.authority.to_owned();
    Ok(Remote {
        target: if is_stream { Target::Tcp(place) } else { Target::Udp(place) },
        tls: Tls::default(),
        format: super::Format::Gelf(Format { codec, level, is_stream }),
        retry,
        limits: Limits::default(),
        is_lazy: false,
    })
}

#[derive(Debug)]
pub(in crate::log) struct Encoder {
    format: Format,
    /// What every message says.
    document: Map<String, Value>,
}

impl Encoder {
    pub(super) fn new(format: Format, facts: &Facts) -> Self {
        let mut document = Map::new();
        let fixed = [
            ("version", "1.1"),
            ("host", &facts.host_name),
            ("_container_id", &facts.id),
            ("_container_name", &facts.name),
            ("_image_id", &facts.image_id),
            ("_image_name", &facts.image),
            ("_command", &facts.command),
            ("_tag", &facts.tag),
            ("_created", &facts.created),
        ];
        document.extend(fixed.map(|(key, value)| (key.to_owned(), Value::from(value))));
        for (key, value) in &facts.attributes {
            let key = if key.starts_with('_') { key.clone() } else { format!("_{key}") };
            document.insert(key, value.as_str().into());
        }
        Self { format, document }
    }

    pub(super) fn encode(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        let text = text(line);
        if text.is_empty() {
            return;
        }
        let level = if line.channel == Channel::Stderr { 3 } else { 6 };
        self.document.insert("short_message".into(), text.into());
        self.document.insert("level".into(), level.into());
        let millis = line.time.0.div_euclid(1_000_000);
        let seconds = format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000));
        // Read from text so that no digit is lost or added.
        self.document.insert("timestamp".into(), seconds.parse::<f64>().map_or(json!(0), |time| json!(time)));
        let mut message = serde_json::to_vec(&self.document).unwrap_or_default();
        if self.format.is_stream {
            message.push(0);
            return frame::push(out, b"", &message);
        }
        // Writing to memory does not fail.
        let packed = self.pack(&message).unwrap_or(message);
        datagrams(&packed, out);
    }

    fn pack(&self, message: &[u8]) -> std::io::Result<Vec<u8>> {
        let level = Compression::new(self.format.level);
        match self.format.codec {
            Codec::None => Ok(message.to_vec()),
            Codec::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(message)?;
                encoder.finish()
            }
            Codec::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(message)?;
                encoder.finish()
            }
        }
    }
}

/// One datagram, or several that are put together again by an ID, their number and their count.
fn datagrams(message: &[u8], out: &mut Vec<u8>) {
    if message.len() <= DATAGRAM {
        return frame::push(out, b"", message);
    }
    let chunks = message.chunks(DATAGRAM - HEAD);
    let Ok(count) = u8::try_from(chunks.len()) else { return };
    // As in Docker, what is too large for the protocol is not sent: the local copy has it.
    if chunks.len() > CHUNKS {
        return;
    }
    let id = fastrand::u64(..).to_be_bytes();
    for (number, chunk) in (0_u8..).zip(chunks) {
        let mut datagram = vec![0x1e, 0x0f];
        datagram.extend_from_slice(&id);
        datagram.extend_from_slice(&[number, count]);
        datagram.extend_from_slice(chunk);
        frame::push(out, b"", &datagram);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read};

    use longshore_types::Timestamp;

    use super::*;

    fn remote(options: &[(&str, &str)]) -> Result<Remote, String> {
        let options: BTreeMap<String, String> =
            options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        read(&Options(&options)).map_err(|error| error.to_string())
    }

    fn frames(options: &[(&str, &str)], text: &str) -> Vec<Vec<u8>> {
        let remote = remote(options).unwrap();
        let super::super::Format::Gelf(format) = remote.format else { panic!("{remote:?}") };
        let time = Timestamp(1_767_323_045_123_456_789);
        let line = Line { channel: Channel::Stderr, time, text: text.into(), details: BTreeMap::new() };
        let mut out = Vec::new();
        Encoder::new(format, &Facts::example()).encode(&line, &mut out);
        frame::all(&out).map(|frame| frame.message.to_vec()).collect()
    }

    #[test]
    fn documents_by_transport() {
        let stream = frames(&[("gelf-address", "tcp://a:1")], "hello\n");
        let document: Value = serde_json::from_slice(stream[0].strip_suffix(&[0]).unwrap()).unwrap();
        assert_eq!(document["short_message"], "hello");
        assert_eq!(document["timestamp"].to_string(), "1767323045.123");
        assert_eq!((&document["level"], &document["version"]), (&json!(3), &json!("1.1")));
        assert_eq!((&document["_tier"], &document["_container_name"]), (&json!("1"), &json!("web")));
        let packed = frames(&[("gelf-address", "udp://a:1")], "hello\n");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*packed[0]).read_to_string(&mut text).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
        assert!(frames(&[("gelf-address", "udp://a:1")], "\n").is_empty());
    }

    #[test]
    fn a_large_message_comes_in_chunks() {
        let options = [("gelf-address", "udp://a:1"), ("gelf-compression-type", "none")];
        let chunks = frames(&options, &"x".repeat(16 << 10));
        let mut whole = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            assert!(chunk.len() <= DATAGRAM && chunk.starts_with(&[0x1e, 0x0f]));
            assert_eq!(chunk[2..10], chunks[0][2..10]);
            assert_eq!((usize::from(chunk[10]), usize::from(chunk[11])), (number, chunks.len()));
            whole.extend_from_slice(&chunk[HEAD..]);
        }
        assert_eq!(serde_json::from_slice::<Value>(&whole).unwrap()["level"], 3);
    }

    #[test]
    fn what_is_wrong() {
        let table: [(&[(&str, &str)], &str); 7] = [
            (&[], "gelf-address is a required parameter"),
            (&[("gelf-address", "a:1")], "gelf: endpoint needs to be TCP or UDP"),
            (&[("gelf-address", "udp://a")], "gelf: please provide gelf-address as proto://host:port"),
            (
                &[("gelf-address", "tcp://a:1"), ("gelf-compression-level", "1")],
                "compression is only supported on UDP",
            ),
            (
                &[("gelf-address", "udp://a:1"), ("gelf-compression-level", "10")],
                "unknown value \"10\" for log opt \"gelf-compression-level\" for gelf log driver",
            ),
            (
                &[("gelf-address", "udp://a:1"), ("gelf-tcp-max-reconnect", "1")],
                "\"gelf-tcp-max-reconnect\" is only valid for TCP",
            ),
            (
                &[("gelf-address", "tcp://a:1"), ("gelf-tcp-max-reconnect", "-1")],
                "\"gelf-tcp-max-reconnect\" must be a positive integer",
            ),
        ];
        for (options, message) in table {
            assert_eq!(remote(options), Err(message.into()));
        }
    }
}
