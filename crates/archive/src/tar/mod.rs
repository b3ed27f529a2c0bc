//! The tar format: a strict streaming reader and a reproducible writer.
//!
//! Understood are v7, ustar, PAX (with global headers), GNU's long names, base-256 numbers and all four
//! forms of sparse files. An archive that well-kept readers (Go's `archive/tar`, GNU tar, bsdtar, Python's
//! `tarfile`) would list differently is refused, with an error that says which entry and why: what a scanner
//! saw must be what is unpacked. Where they are merely more patient than POSIX in the same way, so are we.
//!
//! ```text
//! bytes ──▶ Reader: buffer, content ──512-byte blocks──▶ Assembler: header + extensions ──▶ Entry
//! ```
//!
//! * `field`: numbers in headers
//! * `header`: one block and its dialect
//! * `pax`: records of extended headers
//! * `sparse`: maps of sparse files
//! * `assemble`: the state machine from blocks to entries; knows no I/O
//! * `reader`, `writer`

mod assemble;
mod error;
mod field;
mod header;
mod pax;
mod reader;
#[cfg(test)]
mod refused;
mod sparse;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use assemble::{Assembler, Step};
pub use error::{Error, Name, Problem};
pub use reader::Reader;
pub use writer::{WriteError, Writer};

/// Everything in a tar archive comes in blocks of this many bytes.
pub const BLOCK: usize = 512;

/// One block.
pub type Block = [u8; BLOCK];

/// Bytes that follow content of this length up to the next block.
#[must_use]
pub fn padding(length: u64) -> u64 {
    length.wrapping_neg() % BLOCK as u64
}
