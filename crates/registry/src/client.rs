//! Speaking with registries.
//!
//! * `shared`: what all transfers share: connections, tokens, endpoints. `endpoint`: one host, and how it was reached.
//! * `connection`: HTTP clients by trust. `dns`, `tls`: their parts.
//! * `send`: one request with credentials and redirects. `retry`: how often. `reply`: bodies and refusals, bounded.
//! * `manifest`, `blob`, `upload`, `list`, `login`, `search`, `download`: the operations.
//!
//! Invariants: every body and every wait has a limit; dropping a future stops what it does.

mod blob;
mod connection;
mod dns;
mod download;
mod endpoint;
mod list;
mod login;
mod manifest;
mod range;
mod redirect;
mod reply;
mod repository;
mod retry;
mod search;
mod send;
mod shared;
mod tls;
mod upload;

pub use blob::Blob;
pub use download::Download;
pub use list::Listing;
pub use login::Login;
pub use manifest::{Content, Resolved};
pub use redirect::RedirectError;
pub(crate) use reply::{read_bounded, refusal};
pub use repository::{Observer, Repository, Retry};
pub use search::Found;
pub(crate) use send::Origin;
pub use send::RateLimit;
pub use shared::Client;
pub(crate) use shared::Shared;
pub use upload::{ByteStream, FileSource, Pushed, Source};
