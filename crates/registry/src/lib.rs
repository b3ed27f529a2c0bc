//! The OCI distribution protocol: a client of registries, as they are.
//!
//! ```no_run
//! # async fn pull() -> Result<(), Box<dyn std::error::Error>> {
//! use longshore_registry::{Client, Config, Credentials, Keychain};
//! use longshore_types::Reference;
//!
//! let client = Client::new(Config::default())?;
//! let image = Reference::parse("debian")?.with_default_tag();
//! let repository = client.repository(&image, Credentials::from(Keychain::of_user()?))?;
//! let manifest = repository.resolve("latest").await?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `config` | settings: mirrors, trust, proxies, patience; files of Docker and containerd |
//! | `mirror` | pure: which hosts serve a registry, in which order |
//! | `auth` | accounts, challenges, tokens, credential helpers |
//! | `client` | requests and operations |
//!
//! Invariants: credentials go to the host they were made for and to its token server, to nobody else. What has a digest
//! is checked against it before it is given out, or streamed to a caller who checks it. Everything a stranger sends has
//! a limit.

mod auth;
mod client;
pub mod config;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
mod mirror;
mod secret;

pub use auth::{Account, Credentials, CredentialsError, HelperError, Keychain, KeychainError};
pub use client::{
    Blob, ByteStream, Client, Content, Download, FileSource, Found, Listing, Login, Observer, Pushed,
    RateLimit, RedirectError, Repository, Resolved, Retry, Source,
};
pub use config::{Config, ConfigError, Patience, Proxies};
pub use error::{Error, Reply};
pub use secret::Secret;
