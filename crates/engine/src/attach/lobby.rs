//! Who waits to be attached to a container that does not run.

use std::sync::{Mutex, PoisonError};

use longshore_runtime::{
    launch::{Control, ControlError},
    wire::Attach,
};
use tokio::sync::oneshot;

/// Clients that attach before the start and get all output from the first byte.
///
/// Whoever starts the container makes it on hold when somebody [waits](Lobby::is_empty), [admits](Lobby::admit)
/// them, and lets the program go; and admits once more when the container is known to run, for those who came
/// meanwhile.
#[derive(Debug, Default)]
pub struct Lobby(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    attach: Attach,
    admitted: oneshot::Sender<Control>,
}

impl Lobby {
    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|waiting| !waiting.admitted.is_closed());
        waiting.is_empty()
    }

    /// Attaches everybody who waits, each by a connection of their own. Blocks, for microseconds each.
    ///
    /// # Errors
    /// The first failure; who could not be attached is told that nothing comes.
    pub fn admit(&self, connect: impl Fn() -> Result<Control, ControlError>) -> Result<(), ControlError> {
        let mut result = Ok(());
        for Waiting { attach, admitted } in self.take() {
            if admitted.is_closed() {
                continue;
            }
            let attached = connect().and_then(|mut control| control.attach(attach).map(|()| control));
            match attached {
                // They may have left just now.
                Ok(control) => drop(admitted.send(control)),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    /// Tells everybody who waits that nothing comes: the start has failed, or the container was removed.
    pub fn dismiss(&self) {
        self.take();
    }

    pub(super) fn enter(&self, attach: Attach) -> oneshot::Receiver<Control> {
        let (admitted, receiver) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|waiting| !waiting.admitted.is_closed());
        waiting.push(Waiting { attach, admitted });
        receiver
    }

    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
