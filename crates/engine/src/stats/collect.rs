//! The task that samples.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use super::Sample;
use crate::container::{Container, Containers};

const INTERVAL: Duration = Duration::from_secs(1);

/// Who listens to what.
#[derive(Clone, Debug)]
pub struct Stats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    containers: Containers,
    state: Mutex<State>,
    /// Somebody listens to a container that nobody listened to before.
    new: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// By ID. One without listeners goes at the next round.
    streams: BTreeMap<String, Stream>,
    running: bool,
}

#[derive(Debug)]
struct Stream {
    container: Container,
    sender: watch::Sender<Option<Arc<Sample>>>,
    /// When it was sampled last.
    sampled: Option<Instant>,
}

/// Gets the samples of one container.
#[derive(Debug)]
pub struct Listener(watch::Receiver<Option<Arc<Sample>>>);

impl Listener {
    /// The next sample; `None` once the container was removed.
    pub async fn next(&mut self) -> Option<Arc<Sample>> {
        loop {
            self.0.changed().await.ok()?;
            let sample = self.0.borrow_and_update().clone();
            if sample.is_some() {
                return sample;
            }
        }
    }
}

impl Stats {
    /// Samples the containers of `containers`, once somebody listens.
    #[must_use]
    pub fn new(containers: Containers) -> Self {
        Self(Arc::new(Inner { containers, state: Mutex::default(), new: Notify::new() }))
    }

    /// One sample, at once.
    pub async fn once(&self, container: &Container) -> Result<Sample, super::Error> {
        let container = container.clone();
        match tokio::task::spawn_blocking(move || Sample::take(&container)).await {
            Ok(sample) => sample,
            Err(_) => Err(crate::container::Error::ShuttingDown.into()),
        }
    }

    /// Samples from now on: the first within moments, then one a second. To be called on the event loop.
    #[must_use]
    pub fn listen(&self, container: &Container) -> Listener {
        let mut state = self.0.state();
        let stream = state.streams.entry(container.id().to_string()).or_insert_with(|| Stream {
            container: container.clone(),
            sender: watch::Sender::new(None),
            sampled: None,
        });
        let mut receiver = stream.sender.subscribe();
        // What somebody else was sent before is no news.
        receiver.mark_unchanged();
        self.0.new.notify_one();
        if !state.running {
            state.running = true;
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move { inner.run().await });
        }
        Listener(receiver)
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples until nobody listens.
    async fn run(self: Arc<Self>) {
        // Who begins says that he is new.
        let mut next = Instant::now() + INTERVAL;
        loop {
            let all = tokio::select! {
                () = sleep_until(next) => true,
                () = self.new.notified() => false,
            };
            if all {
                next = (next + INTERVAL).max(Instant::now());
            }
            let Some(wanted) = self.wanted(all) else { return };
            let inner = Arc::clone(&self);
            // Where that fails the runtime is about to end.
            tokio::task::spawn_blocking(move || inner.sample(&wanted)).await.ok();
        }
    }

    /// Whom to sample in this round: everybody, or who never was. `None` ends the task.
    fn wanted(&self, all: bool) -> Option<Vec<Container>> {
        let mut state = self.state();
        state.streams.retain(|id, stream| {
            let there = self.containers.find(id).is_ok_and(|found| found.id() == stream.container.id());
            // Dropping the sender ends the listeners' streams.
            there && stream.sender.receiver_count() > 0
        });
        if state.streams.is_empty() {
            state.running = false;
            return None;
        }
        // Two samples of which the second is made right after the first say nothing of what a CPU does.
        let due = |stream: &&mut Stream| {
            stream.sampled.is_none_or(|sampled| all && sampled.elapsed() >= INTERVAL / 2)
        };
        let wanted = state.streams.values_mut().filter(due);
        Some(
            wanted
                .map(|stream| {
                    stream.sampled = Some(Instant::now());
                    stream.container.clone()
                })
                .collect(),
        )
    }

    fn sample(&self, wanted: &[Container]) {
        for container in wanted {
            let sample = match Sample::take(container) {
                Ok(sample) => Arc::new(sample),
                Err(error) => {
                    tracing::warn!(id = %container.id(), error = crate::line(&error), "a container is not measured");
                    continue;
                }
            };
            if let Some(stream) = self.state().streams.get(container.id().as_str()) {
                stream.sender.send_replace(Some(sample));
            }
        }
    }
}
