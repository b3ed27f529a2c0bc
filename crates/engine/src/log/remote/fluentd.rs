//! Driver `fluentd`: the forward protocol's messages, `[tag, time, record, option]` in MessagePack.
//!
//! The few forms of MessagePack that this takes are written here.

use std::time::Duration;

use longshore_types::Timestamp;

use super::{
    Facts, Limits, Remote, Retry,
    address::{Address, Target, join},
    frame,
    options::{Options, bad},
    part::Parts,
    text,
    tls::Tls,
};
use crate::{
    attach::Channel,
    log::{Error, Line, size},
};

const HOST: &str = "127.0.0.1";
const PORT: &str = "24224";
/// As in Docker, before the second attempt.
const WAIT: Duration = Duration::from_secs(1);
/// How often a connection may be made anew.
const AGES: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// Whether the other side says what it has.
    acks: bool,
    /// Whether times have nanoseconds.
    is_precise: bool,
}

pub(super) fn read(options: &Options<'_>) -> Result<Remote, Error> {
    let address = options.get("fluentd-address").unwrap_or_default();
    let target =
        target(address).map_err(|reason| bad(format!("invalid fluentd-address ({address}): {reason}")))?;
    if let Some(limit) = options.get("fluentd-buffer-limit") {
        size::binary(limit).ok_or_else(|| bad(format!("invalid size: '{limit}'")))?;
    }
    let age = options.duration("fluentd-async-reconnect-interval")?.filter(|age| !age.is_zero());
    if let Some(age) = age.filter(|age| !AGES.contains(age)) {
        let said = format!("value (\"{age:?}\") must be between 100ms and 10s");
        return Err(bad(format!("invalid value for fluentd-async-reconnect-interval: {said}")));
    }
    let limit = |option| Ok(options.duration(option)?.filter(|limit| !limit.is_zero()));
    let retry = Retry {
        wait: options.duration("fluentd-retry-wait")?.unwrap_or(WAIT),
        most: options.number("fluentd-max-retries")?,
    };
    let format = Format {
        acks: options.flag("fluentd-request-ack")?,
        is_precise: options.flag("fluentd-sub-second-precision")?,
    };
    Ok(Remote {
        target,
        tls: Tls::default(),
        format: super::Format::Fluentd(format),
        retry,
        limits: Limits { write: limit("fluentd-write-timeout")?, read: limit("fluentd-read-timeout")?, age },
        is_lazy: options.flag("fluentd-async")?,
    })
}

fn target(text: &str) -> Result<Target, String> {
    let address = Address::read(text);
    match address.scheme {
        "unix" if address.path.trim_start_matches('/').is_empty() => return Err("path is empty".into()),
        "unix" => return Ok(Target::Unix(address.path.into())),
        "" | "tcp" | "tls" => {}
        other => return Err(format!("unsupported scheme: '{other}'")),
    }
    if !address.path.is_empty() {
        return Err("should not contain a path element".into());
    }
    let (host, port) = address.host_and_port().ok_or("invalid port")?;
    let place = join(if host.is_empty() { HOST } else { host }, if port.is_empty() { PORT } else { port });
    Ok(if address.scheme == "tls" { Target::Tls(place) } else { Target::Tcp(place) })
}

#[derive(Debug)]
pub(in crate::log) struct Encoder {
    format: Format,
    tag: String,
    /// What every record says, but `log` and `source`.
    fixed: Vec<(String, String)>,
    parts: Parts,
}

impl Encoder {
    pub(super) fn new(format: Format, facts: &Facts) -> Self {
        let own = [("container_id", facts.id.clone()), ("container_name", format!("/{}", facts.name))];
        let mut fixed = facts.attributes.clone();
        for (key, value) in own {
            fixed.entry(key.into()).or_insert(value);
        }
        let fixed = fixed.into_iter().collect();
        Self { format, tag: facts.tag.clone(), fixed, parts: Parts::default() }
    }

    pub(super) fn encode(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        let source = if line.channel == Channel::Stderr { "stderr" } else { "stdout" };
        let mut record = vec![("source", source.to_owned()), ("log", text(line).to_owned())];
        if let Some(part) = self.parts.of(line) {
            record.extend([
                ("partial_message", "true".to_owned()),
                ("partial_id", part.id),
                ("partial_ordinal", part.ordinal.to_string()),
                ("partial_last", part.is_last.to_string()),
            ]);
        }
        // What the options add stands over what Docker says, as there.
        record.retain(|(key, _)| !self.fixed.iter().any(|(fixed, _)| fixed == key));
        let mut message = vec![0x94];
        string(&self.tag, &mut message);
        time(line.time, self.format.is_precise, &mut message);
        map(self.fixed.len() + record.len(), &mut message);
        let fixed = self.fixed.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (key, value) in fixed.chain(record.iter().map(|(key, value)| (*key, value.as_str()))) {
            string(key, &mut message);
            string(value, &mut message);
        }
        if !self.format.acks {
            map(0, &mut message);
            return frame::push(out, b"", &message);
        }
        let chunk = format!("{:032x}", fastrand::u128(..));
        map(1, &mut message);
        string("chunk", &mut message);
        string(&chunk, &mut message);
        frame::push(out, chunk.as_bytes(), &message);
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    let length = text.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=31), _) => out.push(0xa0 | length),
        (Ok(length), _) => out.extend_from_slice(&[0xd9, length]),
        (_, Ok(length)) => {
            out.push(0xda);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes());
}

fn map(pairs: usize, out: &mut Vec<u8>) {
    match u8::try_from(pairs) {
        Ok(pairs @ 0..=15) => out.push(0x80 | pairs),
        _ => {
            out.push(0xde);
            out.extend_from_slice(&u16::try_from(pairs).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
}

/// Seconds; or the protocol's own type, which has nanoseconds.
fn time(time: Timestamp, is_precise: bool, out: &mut Vec<u8>) {
    let seconds = u32::try_from(time.seconds()).unwrap_or(u32::MAX);
    if !is_precise {
        out.push(0xce);
        return out.extend_from_slice(&seconds.to_be_bytes());
    }
    let nanos = u32::try_from(time.0.rem_euclid(1_000_000_000)).unwrap_or(0);
    out.extend_from_slice(&[0xd7, 0]);
    out.extend_from_slice(&seconds.to_be_bytes());
    out.extend_from_slice(&nanos.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn remote(options: &[(&str, &str)]) -> Result<Remote, String> {
        let options: BTreeMap<String, String> =
            options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        read(&Options(&options)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_record_is_a_message() {
        let line = Line {
            channel: Channel::Stdout,
            time: Timestamp(5_000_000_007),
            text: "hello\n".into(),
            details: BTreeMap::new(),
        };
        let mut out = Vec::new();
        let mut facts = Facts::example();
        (facts.id, facts.tag) = ("i".into(), "t".into());
        Encoder::new(Format { acks: false, is_precise: false }, &facts).encode(&line, &mut out);
        let expected =
            b"\x94\xa1t\xce\0\0\0\x05\x85\xaccontainer_id\xa1i\xaecontainer_name\xa4/web\xa4tier\xa11\
                         \xa6source\xa6stdout\xa3log\xa5hello\x80";
        assert_eq!(frame::all(&out).next().unwrap().message, expected);
        out.clear();
        Encoder::new(Format { acks: true, is_precise: true }, &facts).encode(&line, &mut out);
        let frame = frame::all(&out).next().unwrap();
        assert!(frame.message.starts_with(b"\x94\xa1t\xd7\0\0\0\0\x05\0\0\0\x07\x85"));
        assert_eq!(frame.ack.len(), 32);
        assert!(frame.message.ends_with(frame.ack));
    }

    #[test]
    fn lengths_have_their_forms() {
        for (length, head) in
            [(31, &[0xbf][..]), (32, &[0xd9, 32]), (256, &[0xda, 1, 0]), (65536, &[0xdb, 0, 1, 0, 0])]
        {
            let mut out = Vec::new();
            string(&"x".repeat(length), &mut out);
            assert!(out.starts_with(head) && out.len() == head.len() + length, "{length}");
        }
        let mut out = Vec::new();
        map(16, &mut out);
        assert_eq!(out, [0xde, 0, 16]);
    }

    #[test]
    fn addresses_and_what_is_wrong() {
        let target = |address| remote(&[("fluentd-address", address)]).map(|remote| remote.target);
        assert_eq!(remote(&[]).unwrap().target, Target::Tcp("127.0.0.1:24224".into()));
        assert_eq!(target("a"), Ok(Target::Tcp("a:24224".into())));
        assert_eq!(target("tcp://:5"), Ok(Target::Tcp("127.0.0.1:5".into())));
        assert_eq!(target("tls://a"), Ok(Target::Tls("a:24224".into())));
        assert_eq!(target("unix:///x"), Ok(Target::Unix("/x".into())));
        assert_eq!(target("unix://"), Err("invalid fluentd-address (unix://): path is empty".into()));
        assert_eq!(
            target("udp://a"),
            Err("invalid fluentd-address (udp://a): unsupported scheme: 'udp'".into())
        );
        for (option, value) in [
            ("fluentd-async", "maybe"),
            ("fluentd-retry-wait", "soon"),
            ("fluentd-max-retries", "-1"),
            ("fluentd-buffer-limit", "much"),
            ("fluentd-async-reconnect-interval", "1ms"),
            ("fluentd-write-timeout", "-1s"),
        ] {
            remote(&[(option, value)]).unwrap_err();
        }
        let said = remote(&[("fluentd-retry-wait", "2s"), ("fluentd-max-retries", "3")]).unwrap().retry;
        assert_eq!(said, Retry { wait: Duration::from_secs(2), most: Some(3) });
    }
}
