//! Recipes: all bytes of a layer's tar that are not the content of files, and where that content is.
//!
//! With the recipe and the directory to which the layer was applied, the same tar is made again, byte for
//! byte; so a blob need not be kept to be pushed again. What it takes is mostly headers, which pack well:
//! 1 to 3 % of the layer.
//!
//! ```text
//! zstd( "longshore recipe 1\n" item* )
//! item:  0  LENGTH                            the end; bytes of the tar
//!        1  LENGTH BYTES                      as they are in the tar: headers, paddings, the end
//!        2  LENGTH PATH OFFSET LENGTH         so many bytes of a file below the root
//! ```
//!
//! Numbers are LEB128. Whiteouts are headers in the tar and stay headers here. What is applied differently
//! than it is written (a path twice in one layer) makes another tar: who rebuilds compares the digest.

mod rebuild;
mod record;

pub use rebuild::{RebuildError, rebuild};
pub use record::{RecordError, Recorder};

const MAGIC: &[u8] = b"longshore recipe 1\n";
const END: u8 = 0;
const BYTES: u8 = 1;
const FILE: u8 = 2;
/// Literal bytes in one item.
const LITERAL: usize = 64 << 10;

#[cfg(test)]
mod tests;
