use longshore_types::Kind;
use std::fmt;
use std::io;

/// Why an archive was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read the archive at byte {offset}")]
    Read { offset: u64, source: io::Error },
    #[error("tar entry {number}{name} at byte {offset}: {problem}")]
    Entry {
        /// Counted from 1.
        number: u64,
        /// Where the entry's first header is in the uncompressed archive.
        offset: u64,
        name: Name,
        problem: Problem,
    },
}

impl Error {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Error::Entry { .. } => Kind::InvalidInput,
            Error::Read { source, .. } => match source.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Kind::InvalidInput,
                io::ErrorKind::TimedOut => Kind::Timeout,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Kind::Unavailable,
                _ => Kind::Internal,
            },
        }
    }

    /// What is wrong with the archive, when the archive is what is wrong.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Entry { problem, .. } => Some(problem),
            Error::Read { .. } => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Read { source, .. } => source,
            refused @ Error::Entry { .. } => io::Error::new(io::ErrorKind::InvalidData, refused),
        }
    }
}

/// The name of an entry as far as it is known, shortened and printable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    pub(crate) fn new(path: &[u8]) -> Name {
        const SHOWN: usize = 200;
        let shown = &path[..path.len().min(SHOWN)];
        let mut text = shown.escape_ascii().to_string();
        if path.len() > SHOWN {
            text.push('…');
        }
        Name(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0) }
    }
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    #[error("the archive ends in the middle of it")]
    Truncated,
    #[error("the checksum of its header is wrong: this is no tar archive, or a damaged one")]
    Checksum,
    #[error("its header has no valid number as {0}")]
    Number(&'static str),
    #[error("{0} is negative")]
    Negative(&'static str),
    #[error("{0} is too large")]
    TooLarge(&'static str),
    #[error("it has no name")]
    NoName,
    #[error("it is a link without a target")]
    NoTarget,
    #[error("readers disagree on the meaning of its header: {0}")]
    Ambiguous(&'static str),
    #[error("type {:?} is not supported", char::from(*.0))]
    Type(u8),
    #[error("it is part of a multi-volume archive; join the volumes first")]
    MultiVolume,
    #[error("it has no content by its type, but a size of {0}")]
    UnexpectedContent(u64),
    #[error("its PAX size is {pax}, the size in its header {header}: readers disagree on where it ends")]
    Sizes { pax: u64, header: u64 },
    #[error("PAX record at byte {0} of the extended header is malformed")]
    Record(usize),
    #[error("PAX record {0:?} occurs twice")]
    DuplicateRecord(String),
    #[error("PAX record {0:?} has a value that is not valid for it")]
    RecordValue(String),
    #[error("PAX record {0:?} in a global header: readers disagree on what it applies to")]
    GlobalRecord(String),
    #[error("an extended header belongs to no entry")]
    Dangling,
    #[error("two extended headers of the same kind precede it")]
    DuplicateExtension,
    #[error("its map of sparse pieces is not valid: {0}")]
    Sparse(&'static str),
    #[error("an empty block is followed by more data instead of the end of the archive")]
    LoneZeroBlock,
    #[error("there is data after the end of the archive")]
    DataAfterEnd,
    #[error("more than {limit} {what}: past the limit")]
    Limit { what: &'static str, limit: u64 },
}
