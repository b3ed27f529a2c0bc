use super::WireError;
use super::limits::{MAX_DATA, MAX_PAYLOAD};

/// First bytes of every message: "LS".
const MAGIC: [u8; 2] = *b"LS";

/// The protocol's version. A peer that speaks another is refused with a message that names both.
pub const VERSION: u8 = 2;

/// Bytes before the payload.
pub const HEADER_LEN: usize = 12;

/// What a message's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// To the spawner: are you there? No payload; answered by [`super::Reply::Pong`].
    Ping = 1,
    /// To the spawner: a [`super::Launch`].
    Launch = 2,
    /// To a monitor: a [`super::Request`].
    Request = 3,
    /// From either: a [`super::Reply`].
    Reply = 4,
    /// To a monitor: raw bytes for the container's standard input.
    Input = 5,
    /// From a monitor: raw bytes of standard output, or of the terminal.
    Stdout = 6,
    /// From a monitor: raw bytes of standard error.
    Stderr = 7,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Ping, Self::Launch, Self::Request, Self::Reply, Self::Input, Self::Stdout, Self::Stderr];

    fn from_byte(byte: u8) -> Result<Self, WireError> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte).ok_or(WireError::UnknownKind { kind: byte })
    }

    /// The largest payload of this kind, in bytes.
    #[must_use]
    pub fn max_payload(self) -> usize {
        match self {
            Self::Ping => 0,
            Self::Launch | Self::Request | Self::Reply => MAX_PAYLOAD,
            Self::Input | Self::Stdout | Self::Stderr => MAX_DATA,
        }
    }
}

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    /// Chosen by who asks and repeated in the reply; 0 in what nobody asked for.
    pub sequence: u32,
    /// Bytes of payload, inline or in the memory file.
    pub length: u32,
}

impl Header {
    /// The header as it travels.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..2].copy_from_slice(&MAGIC);
        bytes[2] = VERSION;
        bytes[3] = self.kind as u8;
        bytes[4..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// Reads the header at the front of `message`, within its kind's bound.
    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        let Some(([m0, m1, version, kind, s0, s1, s2, s3, l0, l1, l2, l3], _)) =
            message.split_first_chunk::<HEADER_LEN>()
        else {
            return Err(WireError::Truncated { length: message.len() });
        };
        if [*m0, *m1] != MAGIC {
            return Err(WireError::NotOurs);
        }
        if *version != VERSION {
            return Err(WireError::UnknownVersion { version: *version });
        }
        let kind = Kind::from_byte(*kind)?;
        let sequence = u32::from_le_bytes([*s0, *s1, *s2, *s3]);
        let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
        if length as usize > kind.max_payload() {
            return Err(WireError::TooLarge { length: length as usize, limit: kind.max_payload() });
        }
        Ok(Self { kind, sequence, length })
    }
}
