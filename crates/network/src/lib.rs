//! Networks of containers: bridges, addresses, rules and ports, through the kernel's own interfaces.
//!
//! Nothing here keeps a database: the caller says what there should be, and gets back what to remember. Nothing here
//! executes a program: links, addresses and routes go through a route socket, rules through nftables' own.
//!
//! # Rules
//!
//! * A container's end of a pair is born in its namespace. Moving it there later costs the kernel a grace period.
//! * Nobody waits for a pair or a namespace to go: descriptors are dropped, and the kernel takes away many at once.
//! * The rules of one engine are one table, replaced as a whole or changed in one batch; other tables are not touched.

pub mod bridge;
pub mod dns;
pub mod endpoint;
mod error;
pub mod firewall;
pub mod ipam;
pub mod namespace;
mod netlink;
pub mod port;
mod subnet;
mod subnet6;

pub use error::{Error, Result};
pub use subnet::{Mac, Subnet, SubnetError};
pub use subnet6::{Addresses6, Subnet6};
