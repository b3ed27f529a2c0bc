use std::{
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
};

/// Events taken from the kernel at once.
const BATCH: usize = 16;

/// What an epoll registration stands for. From [`Token::FIRST_CLIENT`] on it is a client's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) u64);

impl Token {
    pub(crate) const SIGNALS: Self = Self(0);
    pub(crate) const LISTENER: Self = Self(1);
    pub(crate) const STDOUT: Self = Self(2);
    pub(crate) const STDERR: Self = Self(3);
    pub(crate) const INPUT: Self = Self(4);
    pub(crate) const FIRST_CLIENT: u64 = 16;
}

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Poll {
    epoll: OwnedFd,
}

impl Poll {
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    pub(crate) fn add(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, EventData::new_u64(token.0), flags)
    }

    /// Brings a registration from one set of flags to another; empty flags mean none at all, since
    /// the kernel reports a hang-up whether or not it was asked for.
    pub(crate) fn change(
        &self,
        fd: impl AsFd,
        token: Token,
        from: EventFlags,
        to: EventFlags,
    ) -> Result<(), Errno> {
        match (from.is_empty(), to.is_empty()) {
            _ if from == to => Ok(()),
            (true, _) => self.add(fd, token, to),
            (false, true) => epoll::delete(&self.epoll, fd),
            (false, false) => epoll::modify(&self.epoll, fd, EventData::new_u64(token.0), to),
        }
    }

    /// Waits for events; none when `timeout` passed first.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> Result<Vec<(Token, EventFlags)>, Errno> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let mut room = [MaybeUninit::<Event>::uninit(); BATCH];
        match epoll::wait(&self.epoll, &mut room, timeout.as_ref()) {
            Ok((events, _)) => {
                Ok(events.iter().map(|event| (Token(event.data.u64()), event.flags)).collect())
            }
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}
