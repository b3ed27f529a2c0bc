//! As much of rtnetlink as moving a device takes: a request's bytes, a socket, and the reading of
//! answers.
//!
//! Layout (rtnetlink(7), all numbers in the machine's byte order): a header of 16 bytes (length, kind,
//! flags, sequence, port), a fixed part that depends on the kind, then attributes of 4 bytes of length
//! and kind and a value each. Messages and attributes start on multiples of 4.

use std::{io, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, netlink::SocketAddrNetlink,
        recv, send, socket_with,
    },
};

/// Kinds of messages.
pub(super) mod kind {
    pub(super) const ERROR: u16 = 2;
    pub(super) const DONE: u16 = 3;
    pub(in super::super) const NEW_LINK: u16 = 16;
    pub(in super::super) const GET_LINK: u16 = 18;
    pub(in super::super) const NEW_ADDRESS: u16 = 20;
    pub(in super::super) const GET_ADDRESS: u16 = 22;
}

/// Flags of a request's header; all requests have `NLM_F_REQUEST` beside.
pub(super) mod flag {
    pub(super) const REQUEST: u16 = 0x1;
    pub(in super::super) const ACK: u16 = 0x4;
    /// The table changed while it was listed.
    pub(super) const INTERRUPTED: u16 = 0x10;
    pub(in super::super) const DUMP: u16 = 0x300;
    pub(in super::super) const EXCLUSIVE: u16 = 0x200;
    pub(in super::super) const CREATE: u16 = 0x400;
}

const HEADER: usize = 16;
/// The kernel fills no packet beyond this (`netlink_dump`).
const MAX_PACKET: usize = 32 * 1024;

/// A request being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request(Vec<u8>);

impl Request {
    pub(super) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flag::REQUEST | flags).to_ne_bytes());
        bytes.extend_from_slice(fixed);
        Self(bytes).aligned()
    }

    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).expect("attributes are names and addresses");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.aligned()
    }

    fn aligned(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("a request has few attributes");
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// One message of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// The fixed part and the attributes.
    pub(super) payload: &'a [u8],
}

/// The messages of a packet, up to the first broken one.
pub(super) fn messages(mut packet: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(packet, 0)?).ok()?;
        let payload = packet.get(HEADER..length)?;
        let message = Message {
            kind: u16_at(packet, 4)?,
            flags: u16_at(packet, 6)?,
            sequence: u32_at(packet, 8)?,
            payload,
        };
        packet = packet.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes after a fixed part, as kind and value, up to the first broken one.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let attribute = (u16_at(bytes, 2)?, bytes.get(4..length)?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(attribute)
    })
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// A talk with the kernel about the network namespace in which it was opened.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    packet: Vec<u8>,
}

impl Socket {
    /// Opens one in the network namespace of this thread.
    pub(super) fn open() -> io::Result<Self> {
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        // Only the kernel is port 0: nobody who is root in that namespace can answer in its place.
        connect(&fd, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { fd, sequence: 0, packet: vec![0; MAX_PACKET] })
    }

    /// Sends a request (with `ACK` or `DUMP`) and gives the kind and payload of each answer to `take`.
    ///
    /// # Errors
    /// The kernel's answer; `EINTR` when a list changed while it was read.
    pub(super) fn ask(&mut self, request: Request, mut take: impl FnMut(u16, &[u8])) -> io::Result<()> {
        self.sequence += 1;
        send(&self.fd, &request.finish(self.sequence), SendFlags::empty())?;
        let mut interrupted = false;
        loop {
            let (_, length) =
                rustix::io::retry_on_intr(|| recv(&self.fd, &mut self.packet[..], RecvFlags::TRUNC))?;
            let packet = self.packet.get(..length).ok_or(Errno::MSGSIZE)?;
            for message in messages(packet).filter(|message| message.sequence == self.sequence) {
                interrupted |= message.flags & flag::INTERRUPTED != 0;
                match message.kind {
                    kind::ERROR | kind::DONE => {
                        // Minus an errno, or 0: all went well and nothing follows.
                        let code = u32_at(message.payload, 0).ok_or(Errno::BADMSG)?.cast_signed();
                        return match code {
                            0 if interrupted => Err(Errno::INTR.into()),
                            0.. => Ok(()),
                            _ => Err(io::Error::from_raw_os_error(code.saturating_neg())),
                        };
                    }
                    kind => take(kind, message.payload),
                }
            }
        }
    }

    /// Sends a request (with `ACK`) that has no other answer than yes or no.
    pub(super) fn tell(&mut self, request: Request) -> io::Result<()> {
        self.ask(request, |_, _| {})
    }
}

#[cfg(test)]
mod tests;
