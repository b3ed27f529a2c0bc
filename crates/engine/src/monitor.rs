//! Connections to monitors, on the event loop.

use std::io;

use longshore_runtime::launch::{Control, ControlError, Event};
use tokio::io::unix::AsyncFd;

use crate::ready;

/// What a monitor tells on one connection: its container's output where it was attached to that, and ends.
#[derive(Debug)]
pub struct Stream(AsyncFd<Control>);

impl Stream {
    /// Takes over a connection. What was asked on it so far has been answered.
    pub fn new(control: Control) -> Result<Self, ControlError> {
        control.set_nonblocking()?;
        ready::watch(control).map(Self).map_err(|source| ControlError::Connect { source })
    }

    /// What comes next. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// [`ControlError::Gone`] once the monitor has gone.
    pub async fn next(&mut self) -> Result<Event, ControlError> {
        // What came while an answer was waited for makes no descriptor readable.
        if let Some(event) = self.0.get_mut().try_next()? {
            return Ok(event);
        }
        loop {
            let mut ready = self.0.readable_mut().await.map_err(broken)?;
            match ready.get_inner_mut().try_next()? {
                Some(event) => return Ok(event),
                None => ready.clear_ready(),
            }
        }
    }

    /// The way to the init's standard input by the same connection.
    pub fn input(&self) -> Result<Input, ControlError> {
        let input = self.0.get_ref().split_input()?;
        ready::watch(input).map(Input).map_err(|source| ControlError::Connect { source })
    }
}

/// The way to an init's standard input. Waits while the container does not read.
#[derive(Debug)]
pub struct Input(AsyncFd<longshore_runtime::launch::Input>);

impl Input {
    /// Sends all of `bytes`.
    pub async fn send(&self, mut bytes: &[u8]) -> Result<(), ControlError> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await.map_err(broken)?;
            match ready.get_inner().try_send(bytes)? {
                Some(sent) => bytes = &bytes[sent..],
                None => ready.clear_ready(),
            }
        }
        Ok(())
    }

    /// Ends the input after what was sent.
    pub async fn close(&self) -> Result<(), ControlError> {
        loop {
            let mut ready = self.0.writable().await.map_err(broken)?;
            if ready.get_inner().try_close()? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }
}

fn broken(source: io::Error) -> ControlError {
    ControlError::Connect { source }
}
