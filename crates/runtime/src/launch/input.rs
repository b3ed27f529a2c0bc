use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::{ControlError, control::gone};
use crate::wire::{self, Kind, Request, limits::MAX_DATA};

/// The half of a [`super::Control`] that sends the init's standard input. It never blocks.
#[derive(Debug)]
pub struct Input {
    pub(super) socket: OwnedFd,
}

impl Input {
    /// Sends the beginning of `bytes`, and returns how much that is; `None` while the container does not read.
    pub fn try_send(&self, bytes: &[u8]) -> Result<Option<usize>, ControlError> {
        let chunk = &bytes[..bytes.len().min(MAX_DATA)];
        self.sent(Kind::Input, 0, chunk).map(|sent| sent.then_some(chunk.len()))
    }

    /// Ends the input after what was sent; `false` while the container does not read.
    pub fn try_close(&self) -> Result<bool, ControlError> {
        // Answered, and nobody waits for that: the sequence is one that no other request has.
        self.sent(Kind::Request, 0, &wire::encode(&Request::CloseInput)?)
    }

    fn sent(&self, kind: Kind, sequence: u32, payload: &[u8]) -> Result<bool, ControlError> {
        match wire::send(&self.socket, kind, sequence, payload, &[]) {
            Ok(()) => Ok(true),
            Err(error) if error.would_block() => Ok(false),
            Err(error) => Err(gone(error)),
        }
    }
}

impl AsRawFd for Input {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
