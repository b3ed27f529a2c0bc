//! Sockets of netlink.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, getsockname,
        netlink::{self, SocketAddrNetlink},
        recv, send, socket_with, sockopt,
    },
};

use super::{ACK, DUMP, Message, message::HEADER};
use crate::error::{Error, Result, io};

const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The kernel answers at once, unless it is in trouble.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes: the kernel fills at most this much at a time.
const BUFFER: usize = 64 << 10;

/// Which part of the kernel listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Links, addresses, routes.
    Route,
    /// nftables.
    Netfilter,
}

/// A socket of the network namespace that it was made in. One request at a time: it is not shared.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// A socket in the namespace of the thread that asks.
    pub(crate) fn open(family: Family) -> Result<Self> {
        let protocol: Option<Protocol> = match family {
            Family::Route => None,
            Family::Netfilter => Some(netlink::NETFILTER),
        };
        let fail = || io("open", "a netlink socket");
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
            .map_err(fail())?;
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(PATIENCE)).map_err(fail())?;
        Ok(Self { fd, sequence: 0 })
    }

    /// A socket that hears of changes, and gives up after so long without.
    pub(crate) fn listen(family: Family, group: u32, patience: Duration) -> Result<Self> {
        let socket = Self::open(family)?;
        let fail = || io("listen on", "a netlink socket");
        sockopt::set_socket_timeout(&socket.fd, sockopt::Timeout::Recv, Some(patience)).map_err(fail())?;
        bind(&socket.fd, &SocketAddrNetlink::new(0, 1 << (group - 1))).map_err(fail())?;
        Ok(socket)
    }

    /// The number that the kernel knows it by, given when it is bound.
    pub(crate) fn port(&self) -> Result<u32> {
        let fail = || io("bind", "a netlink socket");
        bind(&self.fd, &SocketAddrNetlink::new(0, 0)).map_err(fail())?;
        let address = getsockname(&self.fd).map_err(fail())?;
        let address = SocketAddrNetlink::try_from(address).map_err(fail())?;
        Ok(address.pid())
    }

    /// Waits for word of changes: the kind of each, whose it is, and its body.
    pub(crate) fn hear(&self, mut each: impl FnMut(u16, u32, &[u8])) -> rustix::io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        let (length, _) = recv(&self.fd, &mut buffer, RecvFlags::empty())?;
        for (header, payload) in messages_of(&buffer[..length]) {
            each(header.kind, header.port, payload);
        }
        Ok(())
    }

    /// Has one thing done.
    pub(crate) fn call(&mut self, operation: &'static str, object: &str, message: Message) -> Result<()> {
        self.call_all(operation, object, [message])
    }

    /// Has several things done in this order, in one go. The kernel goes on after a failure; the first is told.
    pub(crate) fn call_all(
        &mut self,
        operation: &'static str,
        object: &str,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<()> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        let mut waiting = 0_usize;
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend(message.finish(self.sequence, ACK));
            waiting += 1;
        }
        let failed = io(operation, object);
        let mut error = None;
        self.send(&bytes).map_err(io(operation, object))?;
        let mut buffer = vec![0; BUFFER];
        while waiting > 0 {
            let length = self.receive(&mut buffer).map_err(io(operation, object))?;
            for (header, payload) in messages_of(&buffer[..length]) {
                // Answers to what an earlier call gave up on.
                if header.kind == ERROR && header.sequence.wrapping_sub(first) < u32::MAX / 2 {
                    waiting = waiting.saturating_sub(1);
                    error = error.or_else(|| errno(payload));
                }
            }
        }
        error.map_or(Ok(()), |errno| Err(failed(errno)))
    }

    /// All or nothing: a batch of nftables, between `begin` and `end`. Only the last answers unless one fails.
    pub(crate) fn transact(
        &mut self,
        operation: &'static str,
        object: &str,
        (begin, end): (Message, Message),
        messages: Vec<Message>,
    ) -> Result<()> {
        let count = messages.len();
        if count == 0 {
            return Ok(());
        }
        let first = self.sequence.wrapping_add(1);
        self.sequence = first;
        let mut bytes = begin.finish(first, 0);
        for (index, message) in messages.into_iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend(message.finish(self.sequence, if index + 1 == count { ACK } else { 0 }));
        }
        let last = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        bytes.extend(end.finish(self.sequence, 0));
        let wanted = bytes.len() * 2;
        if wanted > 200 << 10 {
            // Beyond the limit for everybody; what is left out fails with a message of its own.
            sockopt::set_socket_send_buffer_size_force(&self.fd, wanted).ok();
        }
        self.send(&bytes).map_err(io(operation, object))?;
        let mut buffer = vec![0; BUFFER];
        let mut error = None;
        loop {
            let length = self.receive(&mut buffer).map_err(io(operation, object))?;
            for (header, payload) in messages_of(&buffer[..length]) {
                if header.kind != ERROR || header.sequence.wrapping_sub(first) > last.wrapping_sub(first) {
                    continue;
                }
                error = error.or_else(|| errno(payload));
                // The kernel speaks of the batch as a whole by its beginning.
                if header.sequence == last || header.sequence == first {
                    return error.map_or(Ok(()), |errno| Err(io(operation, object)(errno)));
                }
            }
        }
    }

    /// Asks for everything of a kind: the bodies of the answers.
    pub(crate) fn dump(
        &mut self,
        operation: &'static str,
        object: &str,
        message: Message,
    ) -> Result<Vec<Vec<u8>>> {
        self.sequence = self.sequence.wrapping_add(1);
        self.send(&message.finish(self.sequence, DUMP)).map_err(io(operation, object))?;
        let mut bodies = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = self.receive(&mut buffer).map_err(io(operation, object))?;
            for (header, payload) in messages_of(&buffer[..length]) {
                if header.sequence != self.sequence {
                    continue;
                }
                match header.kind {
                    DONE => return Ok(bodies),
                    ERROR => {
                        let answer = || Error::Answer { operation, object: object.into() };
                        return Err(errno(payload).map_or_else(answer, io(operation, object)));
                    }
                    _ => bodies.push(payload.to_vec()),
                }
            }
        }
    }

    /// Asks for one thing: the body of the answer.
    pub(crate) fn get(&mut self, operation: &'static str, object: &str, message: Message) -> Result<Vec<u8>> {
        self.sequence = self.sequence.wrapping_add(1);
        self.send(&message.finish(self.sequence, 0)).map_err(io(operation, object))?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = self.receive(&mut buffer).map_err(io(operation, object))?;
            for (header, payload) in messages_of(&buffer[..length]) {
                if header.sequence != self.sequence {
                    continue;
                }
                if header.kind == ERROR {
                    let answer = || Error::Answer { operation, object: object.into() };
                    return Err(errno(payload).map_or_else(answer, io(operation, object)));
                }
                return Ok(payload.to_vec());
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> rustix::io::Result<()> {
        send(&self.fd, bytes, SendFlags::empty()).map(|_| ())
    }

    fn receive(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        loop {
            match recv(&self.fd, &mut *buffer, RecvFlags::empty()) {
                Ok((length, _)) => return Ok(length),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(Errno::TIMEDOUT),
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[derive(Debug)]
struct Header {
    kind: u16,
    sequence: u32,
    /// Whose request it follows from.
    port: u32,
}

/// The messages in what was received. What is cut off is left out.
fn messages_of(mut bytes: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    std::iter::from_fn(move || {
        let (head, _) = bytes.split_at_checked(HEADER)?;
        let number = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let length = usize::try_from(number(0)).ok()?;
        let payload = bytes.get(HEADER..length)?;
        let header =
            Header { kind: u16::from_ne_bytes([head[4], head[5]]), sequence: number(8), port: number(12) };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((header, payload))
    })
}

/// The error in an answer; none when it says that all is well.
fn errno(payload: &[u8]) -> Option<Errno> {
    let code = i32::from_ne_bytes(payload.get(..4)?.try_into().ok()?);
    (code != 0).then(|| Errno::from_raw_os_error(-code))
}
