//! Names: the wire format of DNS (RFC 1035, RFC 6891), and the sockets of a container's nameserver.
//!
//! What is read was written by somebody hostile: no length is believed, a name is never followed by its pointers, and
//! what does not parse is refused as a whole. Who is called what is the caller's business.

mod query;
mod response;
mod socket;

pub use query::{Answer, Code, Query, QueryError, kind};
pub use response::{Response, age};
pub use socket::{ADDRESS, Sockets};

/// Bytes of the header.
const HEADER: usize = 12;

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Where a name ends that begins at `at`. Its pointers are not followed.
fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return (at + 1 < bytes.len()).then_some(at + 2),
            _ => return None,
        }
    }
}

/// A record, without its name.
#[derive(Clone, Copy, Debug)]
struct Record {
    kind: u16,
    /// The size of datagrams, in an OPT record.
    class: u16,
    /// Where its time to live is.
    ttl_at: usize,
    ttl: u32,
    /// Where its data are.
    data: (usize, usize),
}

/// The record at `at`, and where the next begins.
fn record(bytes: &[u8], at: usize) -> Option<(Record, usize)> {
    let at = skip_name(bytes, at)?;
    let (kind, class) = (number(bytes, at)?, number(bytes, at + 2)?);
    let ttl = u32::from_be_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?);
    let start = at + 10;
    let end = start + usize::from(number(bytes, at + 8)?);
    (end <= bytes.len()).then_some((Record { kind, class, ttl_at: at + 4, ttl, data: (start, end) }, end))
}
