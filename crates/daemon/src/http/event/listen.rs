use std::{collections::VecDeque, convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use longshore_api::{
    Version,
    event::{Actor, Form, Message},
};
use longshore_engine::event::{Event, Events};
use longshore_types::{Filters, Timestamp, time};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Sleep,
};

use super::filter::wants;
use crate::http::{error::Failure, query::Query, version::Requested};

/// Tells what happens, and what happened since a time.
pub(super) async fn listen(
    State(events): State<Events>,
    Requested(version): Requested,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let filters = query.filters()?;
    let since = moment(&query, "since")?;
    let until = moment(&query, "until")?;
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        let shown = |name| query.text(name).unwrap_or_default();
        let message =
            format!("`since` time ({}) cannot be after `until` time ({})", shown("since"), shown("until"));
        return Err(Failure::bad(message));
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = Form::negotiate(accept, version);
    let subscription = events.subscribe();
    let left = until.map(|until| until.since(Timestamp::now()));
    let is_over = left.is_some_and(|left| left.is_zero());
    // Without a time to begin at, the past is not asked for; with one to end at, it is.
    let is_asked = |event: &Arc<Event>| match (since, until) {
        (None, None) => false,
        (since, until) => {
            since.is_none_or(|since| event.time >= since) && until.is_none_or(|until| event.time <= until)
        }
    };
    let listener = Listener {
        past: subscription.history.into_iter().filter(is_asked).collect(),
        live: (!is_over).then_some(subscription.live),
        end: left.filter(|_| !is_over).map(|left| Box::pin(tokio::time::sleep(left.min(LONGEST)))),
        filters,
        form,
        version,
    };
    let lines = stream::unfold(listener, |mut listener| async move {
        let line = listener.next().await?;
        Some((Ok::<_, Infallible>(line), listener))
    });
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(form.media_type()))];
    Ok((kind, Body::from_stream(lines)).into_response())
}

/// The longest that is waited for an end: what a timer can hold, and nobody sees.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A moment of the query: seconds since 1970 with or without a fraction, or what people write.
fn moment(query: &Query, name: &str) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = query.word(name) else { return Ok(None) };
    let Some((seconds, nanos)) = time::parse_timestamp(text, time::now()) else {
        let message = format!(
            "invalid value for '{name}': {text:?} is neither seconds since 1970, nor a time as in RFC 3339, nor a \
             duration"
        );
        return Err(Failure::bad(message));
    };
    Ok(Some(Timestamp(seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos)))))
}

/// One client that listens.
struct Listener {
    past: VecDeque<Arc<Event>>,
    /// Nothing when only the past was asked for.
    live: Option<Receiver<Arc<Event>>>,
    end: Option<Pin<Box<Sleep>>>,
    filters: Filters,
    form: Form,
    version: Version,
}

impl Listener {
    /// The next lines; nothing when there will be none.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let mut lines = BytesMut::new();
            while let Some(event) = self.past.pop_front() {
                self.write(&event, &mut lines);
            }
            if !lines.is_empty() {
                return Some(lines.freeze());
            }
            let event = self.receive().await?;
            self.past.push_back(event);
        }
    }

    async fn receive(&mut self) -> Option<Arc<Event>> {
        let live = self.live.as_mut()?;
        let end = self.end.as_mut();
        let event = async {
            loop {
                match live.recv().await {
                    Ok(event) => return Some(event),
                    // A client that reads too slowly loses the oldest, as with Docker.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        };
        let Some(end) = end else { return event.await };
        tokio::select! {
            biased;
            event = event => event,
            () = end => None,
        }
    }

    fn write(&self, event: &Event, lines: &mut BytesMut) {
        if !wants(&self.filters, event) {
            return;
        }
        let Some(message) = message(event).at(self.version) else { return };
        if let Ok(text) = serde_json::to_vec(&message) {
            lines.put_slice(self.form.prefix());
            lines.put_slice(&text);
            lines.put_u8(b'\n');
        }
    }
}

/// An event on the wire.
fn message(event: &Event) -> Message {
    Message {
        legacy: None,
        object: event.object.name(),
        action: event.action.clone(),
        actor: Actor { id: event.id.clone(), attributes: event.attributes.clone() },
        scope: "local",
        time: event.time.seconds(),
        time_nano: event.time.0,
    }
}
