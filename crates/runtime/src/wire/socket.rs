use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use super::limits::{MAX_FDS, MAX_INLINE};
use super::{HEADER_LEN, Header, Kind, WireError};

/// Seals that make a memory file's bytes final.
const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// A message as it arrived.
#[derive(Debug)]
pub struct Received {
    pub kind: Kind,
    pub sequence: u32,
    pub payload: Vec<u8>,
    pub fds: VecDeque<OwnedFd>,
}

/// A message that waits until its socket has room. Cheap to keep for several clients at once.
#[derive(Debug)]
pub struct Outgoing {
    header: [u8; HEADER_LEN],
    payload: Rc<[u8]>,
    fds: Vec<OwnedFd>,
}

impl Outgoing {
    /// A message with an inline payload, or one that goes into a memory file when it is large.
    pub fn new(
        kind: Kind,
        sequence: u32,
        payload: Rc<[u8]>,
        mut fds: Vec<OwnedFd>,
    ) -> Result<Self, WireError> {
        let header = header(kind, sequence, payload.len())?;
        if payload.len() <= MAX_INLINE {
            return Ok(Self { header, payload, fds });
        }
        fds.insert(0, spill(&payload)?);
        Ok(Self { header, payload: Rc::new([]), fds })
    }

    /// Bytes that this message occupies while it waits.
    #[must_use]
    pub fn size(&self) -> usize {
        HEADER_LEN + self.payload.len()
    }

    /// Sends it; on an error that [`WireError::would_block`] it can be sent again.
    pub fn send(&self, socket: impl AsFd) -> Result<(), WireError> {
        let fds: Vec<BorrowedFd<'_>> = self.fds.iter().map(AsFd::as_fd).collect();
        send_packet(socket.as_fd(), &self.header, &self.payload, &fds)
    }
}

/// Sends one message. The peer gets duplicates of `fds`, before which a large payload's memory
/// file is put.
pub fn send(
    socket: impl AsFd,
    kind: Kind,
    sequence: u32,
    payload: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<(), WireError> {
    let header = header(kind, sequence, payload.len())?;
    if payload.len() <= MAX_INLINE {
        return send_packet(socket.as_fd(), &header, payload, fds);
    }
    let memory = spill(payload)?;
    let fds: Vec<BorrowedFd<'_>> = std::iter::once(memory.as_fd()).chain(fds.iter().copied()).collect();
    send_packet(socket.as_fd(), &header, &[], &fds)
}

/// Reads the header of the next message and leaves the message in the socket. `None` at the end.
pub fn peek_header(socket: impl AsFd) -> Result<Option<Header>, WireError> {
    let mut bytes = [0; HEADER_LEN];
    let (_, length) =
        rustix::net::recv(socket, &mut bytes, RecvFlags::PEEK | RecvFlags::TRUNC).map_err(receiving)?;
    if length == 0 {
        return Ok(None);
    }
    Header::decode(&bytes[..length.min(HEADER_LEN)]).map(Some)
}

/// Receives one message, `None` when the peer has closed. Allocates what the message needs and
/// never more than the kind's bound.
pub fn receive(socket: impl AsFd) -> Result<Option<Received>, WireError> {
    let socket = socket.as_fd();
    let mut nothing = [0_u8; 0];
    let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
    let peek = |nothing: &mut [u8; 0]| rustix::net::recv(socket, nothing, flags);
    let (_, length) = match peek(&mut nothing) {
        // The peer closed without having read all: said once, before what it had sent.
        Err(Errno::CONNRESET) => peek(&mut nothing),
        result => result,
    }
    .map_err(receiving)?;
    if length == 0 {
        return Ok(None);
    }
    // One byte more than any good message, so that a larger one shows as such.
    let mut head = [0; HEADER_LEN];
    let mut payload = vec![0; length.saturating_sub(HEADER_LEN).min(MAX_INLINE + 1)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS + 1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut payload)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .map_err(receiving)?;
    let mut fds = VecDeque::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    if fds.len() > MAX_FDS || message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(WireError::TooManyFds);
    }
    let header = Header::decode(&head[..length.min(HEADER_LEN)])?;
    let expected = header.length as usize;
    if expected > MAX_INLINE && payload.is_empty() {
        payload = unspill(fds.pop_front(), expected)?;
    } else if length != HEADER_LEN + expected {
        return Err(WireError::WrongLength { expected: HEADER_LEN + expected, actual: length });
    }
    Ok(Some(Received { kind: header.kind, sequence: header.sequence, payload, fds }))
}

fn header(kind: Kind, sequence: u32, length: usize) -> Result<[u8; HEADER_LEN], WireError> {
    let limit = kind.max_payload();
    match u32::try_from(length) {
        Ok(bytes) if length <= limit => Ok(Header { kind, sequence, length: bytes }.encode()),
        _ => Err(WireError::TooLarge { length, limit }),
    }
}

pub(super) fn send_packet(
    socket: BorrowedFd<'_>,
    header: &[u8],
    payload: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<(), WireError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // The kernel's alignment may leave room for one more.
    if fds.len() > MAX_FDS || !(fds.is_empty() || control.push(SendAncillaryMessage::ScmRights(fds))) {
        return Err(WireError::TooManyFds);
    }
    let parts = [IoSlice::new(header), IoSlice::new(payload)];
    rustix::net::sendmsg(socket, &parts, &mut control, SendFlags::NOSIGNAL)
        .map_err(|error| WireError::Io { operation: "send message", source: error.into() })?;
    Ok(())
}

/// Puts a large payload into a sealed memory file.
fn spill(payload: &[u8]) -> Result<OwnedFd, WireError> {
    let io = |source: io::Error| WireError::Io { operation: "write memory file", source };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create(c"longshore-message", flags).map_err(|error| io(error.into()))?;
    let mut file = File::from(fd);
    file.write_all(payload).map_err(io)?;
    rustix::fs::fcntl_add_seals(&file, SEALS).map_err(|error| io(error.into()))?;
    Ok(file.into())
}

/// Takes a large payload out of its memory file, which must be sealed and exactly as long.
fn unspill(fd: Option<OwnedFd>, expected: usize) -> Result<Vec<u8>, WireError> {
    let fd = fd.ok_or(WireError::WrongLength { expected, actual: 0 })?;
    if !rustix::fs::fcntl_get_seals(&fd).is_ok_and(|seals| seals.contains(SEALS)) {
        return Err(WireError::NotSealed);
    }
    let mut file = File::from(fd);
    let io = |source: io::Error| WireError::Io { operation: "read memory file", source };
    let actual = file.seek(SeekFrom::End(0)).map_err(io)?;
    if actual != expected as u64 {
        return Err(WireError::WrongLength {
            expected,
            actual: usize::try_from(actual).unwrap_or(usize::MAX),
        });
    }
    file.rewind().map_err(io)?;
    let mut payload = vec![0; expected];
    file.read_exact(&mut payload).map_err(io)?;
    Ok(payload)
}

fn receiving(error: Errno) -> WireError {
    WireError::Io { operation: "receive message", source: error.into() }
}
