//! Who we are to a registry, and how we prove it.
//!
//! * `credentials`: what the caller gives. `keychain` and `program`: what the user's `config.json` has.
//! * `challenge`: what a registry asks for. `realm`: whether its token server may be trusted with an answer.
//! * `token`: getting tokens and keeping them.
//!
//! Invariant: an account is bound to the host it was made for. It is sent to that host, or to the token server that
//! host names over verified TLS, and to nobody else: not to a mirror, not along a redirect.

mod challenge;
mod credentials;
mod keychain;
mod program;
mod realm;
pub(crate) mod token;

pub(crate) use challenge::Challenge;
pub use credentials::{Account, Credentials, CredentialsError};
pub use keychain::{Keychain, KeychainError};
pub use program::HelperError;
pub(crate) use realm::RealmRules;
