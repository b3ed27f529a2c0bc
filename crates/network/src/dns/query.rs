//! Questions, and our own answers to them.

use std::net::IpAddr;

use super::{HEADER, number, record};

/// Types of records.
pub mod kind {
    pub const A: u16 = 1;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const AAAA: u16 = 28;
    pub const OPT: u16 = 41;
}

/// The Internet.
const CLASS: u16 = 1;
/// Seconds for which a client may remember our answers, as Docker's.
const TTL: u32 = 600;
/// Of datagrams, unless the client says that it takes longer ones.
const SMALL: usize = 512;
/// Whatever the client says.
const LARGE: usize = 4096;

/// What a question is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// Why something is no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Not even an answer can be given.
    #[error("no query")]
    NoQuery,
    /// The one who asks is to be told so.
    #[error("malformed query")]
    Malformed { id: u16, code: u8 },
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    id: u16,
    recursion: bool,
    /// In small letters, without the last point. A byte that has no place in a name is `\ddd`.
    name: String,
    kind: u16,
    class: u16,
    /// As it came: name, type, class.
    question: Vec<u8>,
    /// How long datagrams may be, if the client knows EDNS.
    datagram: Option<u16>,
}

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Address(IpAddr),
    Name(String),
}

impl Query {
    /// Reads a question.
    pub fn parse(bytes: &[u8]) -> Result<Self, QueryError> {
        let id = number(bytes, 0).ok_or(QueryError::NoQuery)?;
        let head = bytes.get(..HEADER).ok_or(QueryError::NoQuery)?;
        // An answer is no question, and to answer it might go on for ever.
        if head[2] & 0x80 != 0 {
            return Err(QueryError::NoQuery);
        }
        if head[2] & 0x78 != 0 {
            return Err(QueryError::Malformed { id, code: Code::NotImplemented as u8 });
        }
        Self::read(bytes, id).ok_or(QueryError::Malformed { id, code: Code::FormatError as u8 })
    }

    fn read(bytes: &[u8], id: u16) -> Option<Self> {
        let count = |at| number(bytes, at).map(usize::from);
        if count(4)? != 1 {
            return None;
        }
        let (name, at) = read_name(bytes, HEADER)?;
        let (kind, class) = (number(bytes, at)?, number(bytes, at + 2)?);
        let mut next = at + 4;
        let mut datagram = None;
        for _ in 0..count(6)? + count(8)? + count(10)? {
            let (found, end) = record(bytes, next)?;
            if found.kind == kind::OPT {
                datagram = Some(found.class);
            }
            next = end;
        }
        let question = bytes.get(HEADER..at + 4)?.to_vec();
        let recursion = bytes.get(2)? & 1 != 0;
        Some(Self { id, recursion, name, kind, class, question, datagram })
    }

    #[must_use]
    pub fn id(&self) -> u16 {
        self.id
    }

    /// What is asked for: in small letters, without the last point.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of records, if they are of the Internet.
    #[must_use]
    pub fn kind(&self) -> Option<u16> {
        (self.class == CLASS).then_some(self.kind)
    }

    /// The bytes of the question alone.
    #[must_use]
    pub fn question(&self) -> &[u8] {
        &self.question
    }

    /// The longest datagram that the client takes.
    #[must_use]
    pub fn datagram(&self) -> usize {
        self.datagram.map_or(SMALL, |size| usize::from(size).clamp(SMALL, LARGE))
    }

    /// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
    #[must_use]
    pub fn reverse(&self) -> Option<IpAddr> {
        if let Some(rest) = self.name.strip_suffix(".in-addr.arpa") {
            let parts: Vec<u8> = rest.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
            let [d, c, b, a]: [u8; 4] = parts.try_into().ok()?;
            return Some(IpAddr::from([a, b, c, d]));
        }
        let rest = self.name.strip_suffix(".ip6.arpa")?;
        let nibbles: Vec<u8> = rest
            .split('.')
            .map(|digit| if digit.len() == 1 { u8::from_str_radix(digit, 16).ok() } else { None })
            .collect::<Option<_>>()?;
        let nibbles: [u8; 32] = nibbles.try_into().ok()?;
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(nibbles.rchunks(2)) {
            *byte = pair[1] << 4 | pair[0];
        }
        Some(IpAddr::from(bytes))
    }

    /// An answer of at most `limit` bytes. What is longer is cut, and says so.
    #[must_use]
    pub fn reply(&self, code: Code, answers: &[Answer], limit: usize) -> Vec<u8> {
        let tail = if self.datagram.is_some() { 11 } else { 0 };
        let mut bytes = header(self.id, self.recursion, code as u8, 1);
        bytes.extend_from_slice(&self.question);
        let mut count: u16 = 0;
        for answer in answers {
            let before = bytes.len();
            put(&mut bytes, answer);
            if bytes.len() + tail > limit {
                bytes.truncate(before);
                bytes[2] |= 2;
                break;
            }
            count += 1;
        }
        bytes[6..8].copy_from_slice(&count.to_be_bytes());
        if tail > 0 {
            // The root's name, OPT, our size, no flags, no options.
            bytes.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
            bytes[11] = 1;
        }
        bytes
    }
}

impl QueryError {
    /// What to tell the one who asked, if anything.
    #[must_use]
    pub fn reply(self) -> Option<Vec<u8>> {
        match self {
            Self::NoQuery => None,
            Self::Malformed { id, code } => Some(header(id, false, code, 0)),
        }
    }
}

/// An answer's header: recursion is available.
fn header(id: u16, recursion: bool, code: u8, questions: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&[0x80 | u8::from(recursion), 0x80 | code, 0, questions]);
    bytes.extend_from_slice(&[0; 6]);
    bytes
}

fn put(bytes: &mut Vec<u8>, answer: &Answer) {
    let (kind, data) = match answer {
        Answer::Address(IpAddr::V4(address)) => (kind::A, address.octets().to_vec()),
        Answer::Address(IpAddr::V6(address)) => (kind::AAAA, address.octets().to_vec()),
        Answer::Name(name) => (kind::PTR, wire_name(name)),
    };
    // The name is that of the question.
    bytes.extend_from_slice(&[0xc0, 0x0c]);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&CLASS.to_be_bytes());
    bytes.extend_from_slice(&TTL.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(&data);
}

/// A name as labels. Those that are too long are cut.
fn wire_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        if bytes.len() + label.len() > 253 {
            break;
        }
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes
}

/// A question's name as text, and where it ends. A question has nothing that its name could point to.
fn read_name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let start = at;
    let mut text = String::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = bytes.get(at..at + length).filter(|_| length < 64)?;
        at += length;
        if at - start > 254 {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            match byte {
                b'.' | b'\\' => text.push_str(&format!("\\{byte:03}")),
                byte if byte.is_ascii_graphic() => text.push(char::from(byte.to_ascii_lowercase())),
                byte => text.push_str(&format!("\\{byte:03}")),
            }
        }
    }
    Some((text, at))
}

#[cfg(test)]
mod tests;
