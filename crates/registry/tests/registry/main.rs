//! The client against registries: Debian's `docker-registry`, filled and read by skopeo, and a fake one that fails
//! in every way. Tests named `c5_…` and `a…` carry the number of their row.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod auth;
mod download;
#[path = "../../src/fake/mod.rs"]
#[expect(unreachable_pub, reason = "part of the library, for the crates above too")]
mod fake;
mod http2;
mod image;
mod limits;
mod proxy;
mod real;
mod retries;
mod scene;
mod server;
mod tls;
mod upload;
