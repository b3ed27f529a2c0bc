//! What the store promises, through its public interface alone.

#[cfg(test)]
mod bed;
#[cfg(test)]
mod blobs;
#[cfg(all(test, feature = "failpoints"))]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod full;
#[cfg(test)]
mod images;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod operations;
#[cfg(all(test, feature = "failpoints"))]
mod power;
#[cfg(test)]
mod removal;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod tools;
