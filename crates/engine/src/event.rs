//! What happened: told to whoever listens, and kept for whoever asks later.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use longshore_types::Timestamp;
use tokio::sync::broadcast;

/// Events kept for `since`.
const HISTORY: usize = 1024;
/// Events that a listener may be behind before it loses the oldest.
const BACKLOG: usize = 1024;

/// What something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    Builder,
    Container,
    Daemon,
    Image,
    Network,
    Plugin,
    Volume,
}

impl Object {
    /// As Docker writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Container => "container",
            Self::Daemon => "daemon",
            Self::Image => "image",
            Self::Network => "network",
            Self::Plugin => "plugin",
            Self::Volume => "volume",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub object: Object,
    /// `start`, `die`, `pull` …
    pub action: String,
    /// The object's ID, or its name where it has none.
    pub id: String,
    pub attributes: BTreeMap<String, String>,
    pub time: Timestamp,
}

/// Where events go, and come from.
#[derive(Clone, Debug)]
pub struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Held while an event is published too, so that history and stream miss nothing between them.
    history: Mutex<VecDeque<Arc<Event>>>,
    sender: broadcast::Sender<Arc<Event>>,
}

/// What was, and what comes.
#[derive(Debug)]
pub struct Subscription {
    /// Oldest first.
    pub history: Vec<Arc<Event>>,
    pub live: broadcast::Receiver<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        let (sender, _) = broadcast::channel(BACKLOG);
        Self(Arc::new(Inner { history: Mutex::default(), sender }))
    }
}

impl Events {
    /// Tells everybody. Times of one object never go back.
    pub fn publish(
        &self,
        object: Object,
        action: impl Into<String>,
        id: impl Into<String>,
        attributes: BTreeMap<String, String>,
    ) {
        let mut history = self.0.history.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Arc::new(Event {
            object,
            action: action.into(),
            id: id.into(),
            attributes,
            time: Timestamp::now(),
        });
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(Arc::clone(&event));
        // Nobody may be listening.
        self.0.sender.send(event).ok();
    }

    /// The events of the past that are kept, and those to come, with none between them lost.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let history = self.0.history.lock().unwrap_or_else(PoisonError::into_inner);
        Subscription { history: history.iter().cloned().collect(), live: self.0.sender.subscribe() }
    }
}
