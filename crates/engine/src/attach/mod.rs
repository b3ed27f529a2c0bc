//! Clients on a container's streams.
//!
//! Each attached client has its own connection to the monitor, which copies output to it and takes its input. What
//! a client does not read stays in the monitor, and then holds the container up, as with Docker: nothing is kept
//! here. Who attaches before the start waits in the [`Lobby`].

mod error;
mod keys;
mod lobby;
mod streams;

use longshore_runtime::{launch::Control, spec::ConsoleSize, wire::Attach};

pub use error::Error;
pub use keys::Keys;
pub use lobby::Lobby;
pub use streams::{Channel, End, Input, Output, Streams, Terminal};

use crate::{
    container::{Container, Phase},
    monitor::Stream,
};

/// Which streams a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// A client that waits to be attached.
#[derive(Debug)]
pub struct Pending {
    container: Container,
    attach: Attach,
    admitted: tokio::sync::oneshot::Receiver<Control>,
}

/// Takes a client's place at a container, which may not run yet.
///
/// # Errors
/// Docker's refusals for a container that is paused or restarting.
pub fn attach(container: &Container, wanted: Wanted) -> Result<Pending, Error> {
    let id = || container.id().to_string();
    match container.record().state.phase {
        Phase::Paused => return Err(Error::Paused { id: id() }),
        Phase::Restarting => return Err(Error::Restarting { id: id() }),
        _ => {}
    }
    let Wanted { stdin, stdout, stderr } = wanted;
    let attach = Attach { stdin, stdout, stderr, buffer: 0, patience: u32::MAX };
    let admitted = container.lobby().enter(attach);
    Ok(Pending { container: container.clone(), attach, admitted })
}

impl Pending {
    /// Waits until the container runs, and connects. May be dropped at any time.
    ///
    /// # Errors
    /// [`Error::NotStarted`] when its start failed or it was removed.
    pub async fn connect(mut self) -> Result<Streams, Error> {
        let mut watch = self.container.watch();
        loop {
            let (runs, removed) = {
                let record = watch.borrow_and_update();
                (record.state.phase.has_processes(), record.state.removing)
            };
            if runs {
                return self.now().await;
            }
            if removed {
                return Err(self.not_started());
            }
            tokio::select! {
                control = &mut self.admitted => {
                    return match control {
                        Ok(control) => self.streams(control),
                        Err(_) => Err(self.not_started()),
                    };
                }
                changed = watch.changed() => if changed.is_err() { return Err(self.not_started()) },
            }
        }
    }

    /// Connects to a container that runs, unless whoever started it has done so already.
    async fn now(&mut self) -> Result<Streams, Error> {
        match self.admitted.try_recv() {
            Ok(control) => return self.streams(control),
            Err(_) => self.admitted.close(),
        }
        // Between the two it may have been admitted.
        if let Ok(control) = self.admitted.try_recv() {
            return self.streams(control);
        }
        let (container, attach) = (self.container.clone(), self.attach);
        let connected = tokio::task::spawn_blocking(move || {
            let mut control = container.control()?;
            let id = container.id().to_string();
            control.attach(attach).map_err(|source| Error::Control { id, source })?;
            Ok::<_, Error>(control)
        });
        let control = connected.await.map_err(|source| Error::Task { source })??;
        self.streams(control)
    }

    fn streams(&self, control: Control) -> Result<Streams, Error> {
        let record = self.container.record();
        let failed = |source| Error::Control { id: record.id.to_string(), source };
        let stream = Stream::new(control).map_err(failed)?;
        let wants_input = self.attach.stdin && record.config.open_stdin;
        let input = wants_input.then(|| stream.input()).transpose().map_err(failed)?;
        // Others may attach later and go on typing, unless the input is only ever one client's.
        let ends = record.config.stdin_once && !record.config.tty;
        let input = input.map(|input| Input::Monitor { input, ends });
        Ok(Streams { output: Output::Monitor(stream), input })
    }

    fn not_started(&self) -> Error {
        Error::NotStarted { id: self.container.id().to_string() }
    }
}

/// Sets the size of a container's terminal. Blocks, for microseconds.
pub fn resize(container: &Container, size: ConsoleSize) -> Result<(), Error> {
    let failed = |source| Error::Control { id: container.id().to_string(), source };
    container.control()?.resize(size).map_err(failed)
}
