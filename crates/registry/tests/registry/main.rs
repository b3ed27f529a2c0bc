//! The client against registries: Debian's `docker-registry`, filled and read by skopeo.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod image;
mod real;
mod server;
