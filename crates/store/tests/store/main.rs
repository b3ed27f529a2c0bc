//! What the store promises, through its public interface alone.

mod bed;
mod blobs;
#[cfg(feature = "failpoints")]
mod crash;
mod images;
mod layers;
mod leases;
mod ledger;
#[cfg(feature = "failpoints")]
mod operations;
mod removal;
mod snapshots;
