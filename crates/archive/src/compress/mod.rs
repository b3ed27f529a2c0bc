//! Compressed streams: which kind, reading them within limits, writing them.
//!
//! A [`Decoder`] reads what other tools wrote as one stream: several gzip members, zstd or xz frames one
//! after the other. Strictly: what ends too early, or is followed by anything else, is an error, since
//! readers would disagree on it.

mod blocks;
mod decoder;
mod encoder;
mod error;
mod gzip;
mod inflate;
mod streams;

use std::io::{self, Read};

pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::Error;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// Bytes from the start of a stream that [`detect`] wants to see.
pub const MAGIC_BYTES: usize = 6;

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Compression::None => "uncompressed",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
        })
    }
}

/// The compression of a stream that begins so. What no compressor writes is taken as uncompressed.
#[must_use]
pub fn detect(start: &[u8]) -> Compression {
    match start {
        [0x1f, 0x8b, 8, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        _ => Compression::None,
    }
}

/// A stream whose first bytes were looked at.
pub type Peeked<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// Sees how a stream is compressed, and gives all of it back.
pub fn peek<R: Read>(mut stream: R) -> io::Result<(Compression, Peeked<R>)> {
    let mut start = Vec::with_capacity(MAGIC_BYTES);
    stream.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut start)?;
    Ok((detect(&start), io::Cursor::new(start).chain(stream)))
}

#[cfg(test)]
mod tests;
