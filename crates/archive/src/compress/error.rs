use super::Compression;
use longshore_types::Kind;
use std::io;

/// Why a compressed stream was not read to its end. Comes as the inner error of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this is no {0} stream")]
    Magic(Compression),
    #[error("{compression} stream is damaged at byte {offset}: {what}")]
    Damaged { compression: Compression, offset: u64, what: String },
    #[error("{compression} stream ends too early, after {offset} bytes")]
    Truncated { compression: Compression, offset: u64 },
    #[error("{compression} stream is followed by something else at byte {offset}")]
    TrailingGarbage { compression: Compression, offset: u64 },
    #[error("{compression} stream needs more than {limit} bytes of memory to read")]
    Window { compression: Compression, limit: u64 },
    #[error("zstd stream has more than {0} bytes of frames without data")]
    Skippable(u64),
    #[error("{compression} stream grows to more than {ratio} times its size; it is taken for an attack")]
    Ratio { compression: Compression, ratio: u64 },
    #[error("stream is longer than {0} bytes uncompressed, past the limit")]
    TooLong(u64),
}

impl Error {
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::InvalidInput
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match error {
            Error::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}
