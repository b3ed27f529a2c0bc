//! Where the drivers that send output away send it, and in which words.
//!
//! ```text
//! options ─▶ Remote ─▶ Target (socket), Format ─▶ Encoder ─▶ frames ─▶ Connection
//! ```
//!
//! What is sent is what Docker's drivers send. A batch of records is one buffer of [`frame`]s: a connection that keeps
//! messages apart sends each by itself, any other one sends all of them as they follow each other.

mod address;
mod connection;
mod facts;
mod fluentd;
mod frame;
mod gelf;
mod journald;
mod options;
mod part;
mod probe;
mod syslog;
mod tls;

use std::{collections::BTreeMap, time::Duration};

use super::{Driver, Error, Line};

pub(super) use connection::Connection;
pub(super) use facts::Facts;

use address::Target;
use options::Options;
use tls::Tls;

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the options of a driver say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    target: Target,
    tls: Tls,
    format: Format,
    pub(super) retry: Retry,
    limits: Limits,
    /// Nobody is asked at the start whether the other side is there.
    is_lazy: bool,
}

/// What is done when something cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    /// Before the second attempt; it grows from there.
    pub(super) wait: Duration,
    /// Attempts after which records are given up; without it, none are while the local file has them.
    pub(super) most: Option<u32>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { wait: Duration::from_millis(500), most: None }
    }
}

/// How long a connection may be used and waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Limits {
    write: Option<Duration>,
    read: Option<Duration>,
    /// After this a connection is made anew.
    age: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Format {
    Syslog(syslog::Format),
    Gelf(gelf::Format),
    Fluentd(fluentd::Format),
    Journald,
}

impl Remote {
    /// Reads the options of a driver that sends away; `None` for one that does not.
    ///
    /// # Errors
    /// Docker's words for values that mean nothing.
    pub(super) fn read(driver: Driver, options: &BTreeMap<String, String>) -> Result<Option<Self>, Error> {
        let options = Options(options);
        match driver {
            Driver::Syslog => syslog::read(&options),
            Driver::Gelf => gelf::read(&options),
            Driver::Fluentd => fluentd::read(&options),
            Driver::Journald => Ok(journald::read()),
            Driver::JsonFile | Driver::Local | Driver::None => return Ok(None),
        }
        .map(Some)
    }

    /// Turns records of a container into messages.
    pub(super) fn encoder(&self, facts: &Facts) -> Encoder {
        match &self.format {
            Format::Syslog(format) => Encoder::Syslog(syslog::Encoder::new(format, facts)),
            Format::Gelf(format) => Encoder::Gelf(gelf::Encoder::new(*format, facts)),
            Format::Fluentd(format) => Encoder::Fluentd(Box::new(fluentd::Encoder::new(*format, facts))),
            Format::Journald => Encoder::Journald(Box::new(journald::Encoder::new(facts))),
        }
    }
}

/// Turns records into messages, in the order in which they were written.
#[derive(Debug)]
pub(super) enum Encoder {
    Syslog(syslog::Encoder),
    Gelf(gelf::Encoder),
    Fluentd(Box<fluentd::Encoder>),
    Journald(Box<journald::Encoder>),
}

impl Encoder {
    /// Appends what is to be sent for a record, as frames.
    pub(super) fn encode(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Syslog(encoder) => encoder.encode(line, out),
            Self::Gelf(encoder) => encoder.encode(line, out),
            Self::Fluentd(encoder) => encoder.encode(line, out),
            Self::Journald(encoder) => encoder.encode(line, out),
        }
    }
}

/// The text of a record without the break at its end.
fn text<'a>(line: &'a Line<'_>) -> &'a str {
    line.text.strip_suffix('\n').unwrap_or(&line.text)
}
