//! The protocol between whoever launches containers, the spawner and the monitors.
//!
//! It runs over `SOCK_SEQPACKET` unix sockets, a message per packet:
//!
//! ```text
//! 0      2         3      4           8         12
//! "LS"   version   kind   sequence    length    payload…            integers little-endian
//! ```
//!
//! The payload of [`Kind::Launch`], [`Kind::Request`] and [`Kind::Reply`] is `postcard` of
//! [`Launch`], [`Request`] and [`Reply`]; that of the data kinds is raw bytes. A payload over
//! [`limits::MAX_INLINE`] travels in a memory file sealed against change, which is then the first
//! descriptor of the message, and the packet is the header alone.
//!
//! Invariants: nothing is read or allocated beyond the bounds in [`limits`]; a packet that is
//! not exactly header plus payload is refused; an enum's variants are only ever appended, and any
//! other change raises [`VERSION`].

mod frame;
pub mod limits;
mod message;
mod socket;
#[cfg(test)]
mod tests;

use std::io;

pub use frame::{HEADER_LEN, Header, Kind, VERSION};
pub use message::{
    Attach, DropReason, ExecStatus, Exit, ExitRecord, FdRole, Io, Launch, LogSink, LogStatus, Phase, Refusal,
    Reply, Request, RunExec, Started, Status, Stdin, Target,
};
pub use socket::{Outgoing, Received, peek_header, receive, send};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a message could not be sent or understood.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("message of {length} bytes is shorter than its header")]
    Truncated { length: usize },
    #[error("message is not of this protocol")]
    NotOurs,
    #[error("peer speaks protocol version {version}, this side speaks {VERSION}")]
    UnknownVersion { version: u8 },
    #[error("unknown message kind {kind}")]
    UnknownKind { kind: u8 },
    #[error("payload of {length} bytes is over the limit of {limit}")]
    TooLarge { length: usize, limit: usize },
    #[error("packet carries {actual} bytes where its header says {expected}")]
    WrongLength { expected: usize, actual: usize },
    #[error("more than {} file descriptors in a message", limits::MAX_FDS)]
    TooManyFds,
    #[error("memory file of a large payload is not sealed")]
    NotSealed,
    #[error("malformed payload")]
    Malformed { source: postcard::Error },
    #[error("cannot encode payload")]
    Encode { source: postcard::Error },
    #[error("cannot {operation}")]
    Io { operation: &'static str, source: io::Error },
}

impl WireError {
    /// Whether a non-blocking socket had nothing to give or no room to take.
    #[must_use]
    pub fn would_block(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Encodes the payload of a structured message.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, WireError> {
    let bytes = postcard::to_stdvec(message).map_err(|source| WireError::Encode { source })?;
    if bytes.len() > limits::MAX_PAYLOAD {
        return Err(WireError::TooLarge { length: bytes.len(), limit: limits::MAX_PAYLOAD });
    }
    Ok(bytes)
}

/// Decodes the payload of a structured message, all of it.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, WireError> {
    match postcard::take_from_bytes(payload) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => {
            Err(WireError::WrongLength { expected: payload.len() - rest.len(), actual: payload.len() })
        }
        Err(source) => Err(WireError::Malformed { source }),
    }
}
