//! Descriptors on the event loop.

use std::{io, os::fd::AsRawFd};

use tokio::io::unix::AsyncFd;

/// Puts what owns a descriptor that does not block on the event loop.
pub(crate) fn watch<T: AsRawFd>(inner: T) -> io::Result<AsyncFd<T>> {
    // Every type that comes here owns its descriptor and gives out the same one for as long as it lives, which is
    // what the newer constructor has its caller promise.
    #[expect(deprecated, reason = "the other constructor is unsafe, which this crate has none of")]
    AsyncFd::new(inner)
}
