//! The talk between the process that makes a container and the container's init, until its exec.
//!
//! A SEQPACKET socket pair; a message is one packet of at most [`MAX_MESSAGE`] bytes, a postcard of
//! [`FromInit`] or [`ToInit`], with at most one descriptor. Both ends are close-on-exec: end of file
//! at the parent after `Go` means that the exec succeeded, end of file at the init means that its
//! maker is gone and it must end.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Step, StepError};

const MAX_MESSAGE: usize = 8192;
const MAX_SUBJECT: usize = 4096;

/// What the init says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// There is a time namespace for its children, whose clocks can be set.
    Clocks,
    /// The namespaces and mounts stand; the runtime's hooks may run.
    Prepared,
    /// The attached descriptor is the master side of the console.
    Console,
    /// The seccomp listener is this descriptor of the init.
    Listener { number: i32 },
    /// Only the exec is left.
    Ready,
    /// The step failed and the init ends.
    Failed { step: Step, subject: String, errno: i32, message: String },
}

/// What the init is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToInit {
    /// The id maps are written, the cgroup and network devices are in place.
    Entered,
    /// The hooks ran.
    Hooked,
    /// The seccomp agent has the listener.
    Listened,
    /// The container is on record: exec, or wait for `start` where a gate was given.
    Go,
}

#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// The two ends.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(one), Self(other)))
    }

    pub(crate) fn send<T: Serialize>(&self, message: &T, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut buffer = [0u8; MAX_MESSAGE];
        let bytes = postcard::to_slice(message, &mut buffer).map_err(io::Error::other)?;
        let Some(fd) = fd else {
            // Plain write: a seccomp filter in place already may not allow sendmsg.
            return rustix::io::write(&self.0, bytes).map(drop).map_err(io::Error::from);
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [fd];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(&self.0, &[io::IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Sends a message to an end that may have failed and gone meanwhile: what it told of that is read next.
    pub(crate) fn send_unless_gone<T: Serialize>(&self, message: &T) -> io::Result<()> {
        match self.send(message, None) {
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::PIPE | Errno::CONNRESET)) => {
                Ok(())
            }
            result => result,
        }
    }

    /// The next message; `None` when the other end is gone.
    ///
    /// An end that went with unread messages leaves an error behind (`ECONNRESET`) that is read before
    /// what it sent; it is told once.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        let mut buffer = [0u8; MAX_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut reset = false;
        let length = loop {
            let result = recvmsg(
                &self.0,
                &mut [io::IoSliceMut::new(&mut buffer)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            );
            match result {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) if !reset => reset = true,
                result => break result?.bytes,
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let mut fd = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                fd = fds.into_iter().next().or(fd);
            }
        }
        let message = postcard::from_bytes(&buffer[..length]).map_err(io::Error::other)?;
        Ok(Some((message, fd)))
    }

    /// Waits for `expected`. An end of file ends this process: its maker is gone.
    pub(crate) fn expect(&self, expected: ToInit) -> io::Result<()> {
        match self.plain_receive()? {
            Some(message) if message == expected => Ok(()),
            Some(_) => Err(io::Error::from_raw_os_error(libc_eproto())),
            None => longshore_sys::process::exit_now(1),
        }
    }

    /// Receives with plain `read`, for the same reason as in `send`.
    fn plain_receive(&self) -> io::Result<Option<ToInit>> {
        let mut buffer = [0u8; 16];
        let length = loop {
            match rustix::io::read(&self.0, &mut buffer) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(None),
                result => break result?,
            }
        };
        match length {
            0 => Ok(None),
            length => postcard::from_bytes(&buffer[..length]).map(Some).map_err(io::Error::other),
        }
    }

    /// Tells the parent why the init ends. Nothing is left to do where even that fails.
    pub(crate) fn send_failure(&self, error: &StepError) {
        let mut subject = error.subject.clone();
        let cut = (0..=MAX_SUBJECT.min(subject.len())).rev().find(|at| subject.is_char_boundary(*at));
        subject.truncate(cut.unwrap_or(0));
        let errno = error.source.raw_os_error().unwrap_or(0);
        let mut message = if errno == 0 { error.source.to_string() } else { String::new() };
        let cut = (0..=2048.min(message.len())).rev().find(|at| message.is_char_boundary(*at));
        message.truncate(cut.unwrap_or(0));
        let message = FromInit::Failed { step: error.step, subject, errno, message };
        self.send(&message, None).ok();
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const fn libc_eproto() -> i32 {
    Errno::PROTO.raw_os_error()
}

impl FromInit {
    /// The error that a `Failed` carries.
    pub(crate) fn into_error(self) -> Option<StepError> {
        let Self::Failed { step, subject, errno, message } = self else { return None };
        let source = if errno == 0 { io::Error::other(message) } else { io::Error::from_raw_os_error(errno) };
        Some(StepError { step, subject, source })
    }
}

#[cfg(test)]
mod tests {
    use super::{Channel, FromInit, Step, ToInit};

    #[test]
    fn what_an_end_told_is_heard_although_it_went_without_listening() {
        let (maker, init) = Channel::pair().unwrap();
        maker.send(&ToInit::Go, None).unwrap();
        let failed = FromInit::Failed {
            step: Step::RootMount,
            subject: "/x".into(),
            errno: 2,
            message: String::new(),
        };
        init.send(&failed, None).unwrap();
        drop(init);
        maker.send_unless_gone(&ToInit::Go).unwrap();
        assert_eq!(maker.receive::<FromInit>().unwrap().unwrap().0, failed);
        assert!(maker.receive::<FromInit>().unwrap().is_none());
    }
}
