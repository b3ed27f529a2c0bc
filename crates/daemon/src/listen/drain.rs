//! Bodies that a route has not read to their end.
//!
//! A connection goes on only after the whole body of a request. A little is read and thrown away, as Go's server does,
//! so that clients need no other connection; with more to come, the connection is closed.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

/// What is read of a body that nobody wants.
const LIMIT: usize = 256 << 10;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request's body. What is left of it when it is dropped is read.
#[derive(Debug)]
pub(super) struct Drained(Option<Incoming>);

impl Drained {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl hyper::body::Body for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        // Outside of the runtime the connection is gone as well.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(drain(body));
        }
    }
}

async fn drain(body: Incoming) {
    let mut pieces = Body::new(body).into_data_stream();
    let mut length = 0;
    let whole = async {
        while let Some(Ok(piece)) = pieces.next().await {
            length += piece.len();
            if length > LIMIT {
                return;
            }
        }
    };
    // Dropping the body closes the connection.
    tokio::time::timeout(PATIENCE, whole).await.ok();
}
