//! Driver `syslog`: RFC 3164, RFC 5424, and what C libraries send to the machine's own.
//!
//! Times are the records' own, in UTC.

use longshore_types::Timestamp;

use super::{
    Facts, Limits, Remote, Retry,
    address::{Address, Target, join},
    frame,
    options::{Options, bad},
    text,
    tls::Tls,
};
use crate::{
    attach::Channel,
    log::{Error, Line},
};

const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];
/// The facility of daemons.
const DAEMON: u8 = 3;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Without a host's name.
    Unix,
    Rfc3164,
    Rfc5424,
    /// With microseconds.
    Rfc5424Micro,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    facility: u8,
    style: Style,
    /// Whether each message's length goes before it (RFC 5425).
    is_counted: bool,
}

pub(super) fn read(options: &Options<'_>) -> Result<Remote, Error> {
    let target = target(options.get("syslog-address").unwrap_or_default())?;
    let facility = facility(options.get("syslog-facility").unwrap_or_default())?;
    let (style, counts) = match options.get("syslog-format").unwrap_or_default() {
        "" => (Style::Unix, false),
        "rfc3164" => (Style::Rfc3164, false),
        "rfc5424" => (Style::Rfc5424, true),
        "rfc5424micro" => (Style::Rfc5424Micro, true),
        _ => return Err(bad("Invalid syslog format")),
    };
    let tls = Tls {
        ca: options.get("syslog-tls-ca-cert").map(Into::into),
        cert: options.get("syslog-tls-cert").map(Into::into),
        key: options.get("syslog-tls-key").map(Into::into),
        is_unverified: options.has("syslog-tls-skip-verify"),
    };
    let is_counted = counts && matches!(target, Target::Tls(_));
    Ok(Remote {
        target,
        tls,
        format: super::Format::Syslog(Format { facility, style, is_counted }),
        retry: Retry::default(),
        limits: Limits::default(),
        is_lazy: false,
    })
}

fn target(text: &str) -> Result<Target, Error> {
    if text.is_empty() {
        return Ok(Target::Syslog);
    }
    let address = Address::read(text);
    if matches!(address.scheme, "unix" | "unixgram") {
        let path = std::path::PathBuf::from(address.path);
        if !path.exists() {
            return Err(bad(format!("stat {}: no such file or directory", path.display())));
        }
        return Ok(if address.scheme == "unix" { Target::Unix(path) } else { Target::Unixgram(path) });
    }
    if !matches!(address.scheme, "udp" | "tcp" | "tcp+tls") {
        return Err(bad(format!("unsupported scheme: '{}'", address.scheme)));
    }
    let parts = address.host_and_port();
    let (host, port) = parts.ok_or_else(|| bad(format!("address {}: invalid port", address.authority)))?;
    let place = join(host, if port.is_empty() { "514" } else { port });
    Ok(match address.scheme {
        "udp" => Target::Udp(place),
        "tcp" => Target::Tcp(place),
        _ => Target::Tls(place),
    })
}

fn facility(text: &str) -> Result<u8, Error> {
    if text.is_empty() {
        return Ok(DAEMON);
    }
    let named = FACILITIES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    let number = named.or_else(|| text.parse().ok().filter(|number| *number <= 23));
    number.ok_or_else(|| bad("invalid syslog facility"))
}

#[derive(Debug)]
pub(in crate::log) struct Encoder {
    format: Format,
    tag: String,
    host_name: String,
    pid: u32,
}

impl Encoder {
    pub(super) fn new(format: &Format, facts: &Facts) -> Self {
        let (tag, host_name) = (facts.tag.clone(), facts.host_name.clone());
        Self { format: *format, tag, host_name, pid: std::process::id() }
    }

    pub(super) fn encode(&self, line: &Line<'_>, out: &mut Vec<u8>) {
        let text = text(line);
        if text.is_empty() {
            return;
        }
        // Severities: an error, or information.
        let severity = if line.channel == Channel::Stderr { 3 } else { 6 };
        let priority = self.format.facility << 3 | severity;
        let Self { tag, host_name: host, pid, .. } = self;
        let message = match self.format.style {
            Style::Unix => format!("<{priority}>{} {tag}[{pid}]: {text}\n", stamp(line.time)),
            Style::Rfc3164 => format!("<{priority}>{} {host} {tag}[{pid}]: {text}\n", stamp(line.time)),
            Style::Rfc5424 => {
                let time = Timestamp(line.time.seconds().saturating_mul(1_000_000_000));
                format!("<{priority}>1 {time} {host} {tag} {pid} {tag} - {text}\n")
            }
            Style::Rfc5424Micro => {
                let micros = line.time.0.rem_euclid(1_000_000_000) / 1000;
                let time = Timestamp(line.time.seconds().saturating_mul(1_000_000_000)).to_string();
                let time = time.trim_end_matches('Z');
                format!("<{priority}>1 {time}.{micros:06}Z {host} {tag} {pid} {tag} - {text}\n")
            }
        };
        if self.format.is_counted {
            frame::push(out, b"", format!("{} {message}", message.len()).as_bytes());
        } else {
            frame::push(out, b"", message.as_bytes());
        }
    }
}

/// `Jan  2 15:04:05`.
fn stamp(time: Timestamp) -> String {
    let text = time.to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let month = part(5..7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?));
    format!("{} {:>2} {}", month.unwrap_or(&"Jan"), part(8..10).trim_start_matches('0'), part(11..19))
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

    fn said(options: &[(&str, &str)], channel: Channel) -> String {
        let remote = remote(options).unwrap();
        let super::super::Format::Syslog(format) = &remote.format else { panic!("{remote:?}") };
        let mut out = Vec::new();
        let time = Timestamp(1_767_323_045_000_006_000);
        let line = Line { channel, time, text: "hello\n".into(), details: BTreeMap::new() };
        Encoder::new(format, &Facts::example()).encode(&line, &mut out);
        let message = frame::all(&out).next().unwrap().message;
        String::from_utf8_lossy(message).replace(&std::process::id().to_string(), "PID")
    }

    #[test]
    fn messages_by_format() {
        let unix = said(&[], Channel::Stdout);
        assert_eq!(unix, "<30>Jan  2 03:04:05 0123456789ab[PID]: hello\n");
        let facility = said(&[("syslog-facility", "local7"), ("syslog-format", "rfc3164")], Channel::Stderr);
        assert_eq!(facility, "<187>Jan  2 03:04:05 harbour 0123456789ab[PID]: hello\n");
        let new = said(&[("syslog-facility", "1"), ("syslog-format", "rfc5424")], Channel::Stdout);
        assert_eq!(new, "<14>1 2026-01-02T03:04:05Z harbour 0123456789ab PID 0123456789ab - hello\n");
        let micro = said(&[("syslog-format", "rfc5424micro")], Channel::Stdout);
        assert!(micro.starts_with("<30>1 2026-01-02T03:04:05.000006Z harbour "), "{micro}");
        let counted =
            said(&[("syslog-format", "rfc5424"), ("syslog-address", "tcp+tls://a:1")], Channel::Stdout);
        assert!(counted.contains(" <30>1 2026") && !counted.starts_with('<'), "{counted}");
    }

    #[test]
    fn addresses_and_what_is_wrong() {
        let target = |address| remote(&[("syslog-address", address)]).map(|remote| remote.target);
        assert_eq!(target("udp://a"), Ok(Target::Udp("a:514".into())));
        assert_eq!(target("tcp://[::1]:5"), Ok(Target::Tcp("[::1]:5".into())));
        assert_eq!(target("http://a"), Err("unsupported scheme: 'http'".into()));
        assert_eq!(target("unix:///nothing"), Err("stat /nothing: no such file or directory".into()));
        assert_eq!(remote(&[("syslog-facility", "x")]), Err("invalid syslog facility".into()));
        assert_eq!(remote(&[("syslog-facility", "24")]), Err("invalid syslog facility".into()));
        assert_eq!(remote(&[("syslog-format", "x")]), Err("Invalid syslog format".into()));
    }
}
