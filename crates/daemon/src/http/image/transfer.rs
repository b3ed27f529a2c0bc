//! Transfers: work whose progress is the answer, one document a line.
//!
//! What goes wrong before the first line is a status, what goes wrong later is a line. A client that leaves ends the
//! work. One that reads slowly loses amounts, and never a step.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use longshore_api::progress::Message;
use longshore_types::{Progress, ProgressEvent};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

use super::Failure;

/// The shortest time between two amounts of one thing.
const PACE: Duration = Duration::from_millis(100);
/// Lines that may wait for the client before amounts are dropped.
const BACKLOG: usize = 256;

/// Takes progress, and makes lines of it.
#[derive(Clone, Debug)]
pub(super) struct Reporter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    lines: UnboundedSender<Message>,
    waiting: Arc<AtomicUsize>,
    /// When an amount of each thing was told last.
    told: Mutex<HashMap<String, Instant>>,
    /// Notes are text for a terminal too, as they are for `load`.
    text: bool,
}

impl Reporter {
    /// Sends a line.
    pub(super) fn send(&self, message: Message) {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        // Nobody may be listening any more.
        self.0.lines.send(message).ok();
    }

    /// Whether an amount may be left out: something was told of the same thing just now, or nobody reads.
    fn skips(&self, event: &ProgressEvent) -> bool {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        match event.status.amounts() {
            None => {
                told.remove(&event.id);
                false
            }
            Some((current, total)) => {
                let now = Instant::now();
                let soon = told.get(&event.id).is_some_and(|last| now.duration_since(*last) < PACE);
                if (soon && current != total) || self.0.waiting.load(Ordering::Relaxed) > BACKLOG {
                    return true;
                }
                told.insert(event.id.clone(), now);
                false
            }
        }
    }
}

impl Progress for Reporter {
    fn report(&self, event: ProgressEvent) {
        if self.skips(&event) {
            return;
        }
        for mut message in Message::of(&event) {
            let is_note = message.detail.is_none() && message.id.is_empty() && !message.status.is_empty();
            if self.0.text && is_note {
                message = Message::stream(format!("{}\n", message.status));
            }
            self.send(message);
        }
    }
}

/// Ends the work when the answer is not wanted any more.
struct Work(JoinHandle<Result<(), Failure>>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Does the work, and answers with its progress.
pub(super) async fn respond<F, T>(work: F) -> Result<Response, Failure>
where
    F: FnOnce(Reporter) -> T,
    T: Future<Output = Result<(), Failure>> + Send + 'static,
{
    begin(work, false).await
}

/// As [`respond`]; notes are text for a terminal.
pub(super) async fn respond_with_text<F, T>(work: F) -> Result<Response, Failure>
where
    F: FnOnce(Reporter) -> T,
    T: Future<Output = Result<(), Failure>> + Send + 'static,
{
    begin(work, true).await
}

async fn begin<F, T>(work: F, text: bool) -> Result<Response, Failure>
where
    F: FnOnce(Reporter) -> T,
    T: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let (lines, mut received) = unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let shared = Shared { lines, waiting: Arc::clone(&waiting), told: Mutex::default(), text };
    let mut work = Work(tokio::spawn(work(Reporter(Arc::new(shared)))));
    // All senders belong to the work: no line means that it has ended.
    let first = match received.recv().await {
        Some(first) => first,
        None => {
            finish(&mut work).await?;
            return Ok(answer(Body::empty()));
        }
    };
    let state = Lines { first: Some(first), received, waiting, work: Some(work) };
    Ok(answer(Body::from_stream(stream::unfold(state, |mut state| async move {
        let line = state.next().await?;
        Some((Ok::<_, std::convert::Infallible>(line), state))
    }))))
}

fn answer(body: Body) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

async fn finish(work: &mut Work) -> Result<(), Failure> {
    match (&mut work.0).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Ok(()),
        },
    }
}

/// The lines of an answer, as they come.
struct Lines {
    first: Option<Message>,
    received: UnboundedReceiver<Message>,
    waiting: Arc<AtomicUsize>,
    work: Option<Work>,
}

impl Lines {
    async fn next(&mut self) -> Option<Bytes> {
        let mut message = match self.first.take() {
            Some(message) => Some(message),
            None => self.received.recv().await,
        };
        if message.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        } else if let Some(mut work) = self.work.take() {
            message = finish(&mut work).await.err().map(|failure| Message::error(failure.message));
        }
        longshore_api::stream::line(&message?).ok()
    }
}
