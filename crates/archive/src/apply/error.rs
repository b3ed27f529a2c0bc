use std::{fmt, io};

use longshore_types::Kind;
use rustix::io::Errno;

use crate::tar;

/// Why a layer could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream is no archive that we read, breaks a limit, or ended early.
    #[error("read the layer")]
    Read(#[source] tar::Error),
    /// The kernel refused.
    #[error("entry {number} `{path}`: {operation}")]
    Entry {
        number: u64,
        path: String,
        operation: &'static str,
        #[source]
        source: io::Error,
    },
    /// The entry asks for what no layer may have.
    #[error("entry {number} `{path}` {refusal}")]
    Refused { number: u64, path: String, refusal: Refusal },
    /// Something at the end or the start that no entry asked for.
    #[error("{operation}")]
    Root {
        operation: &'static str,
        #[source]
        source: io::Error,
    },
}

/// What no layer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The root itself as something other than a directory.
    Root,
    /// A whiteout of nothing, of `.` or of `..`.
    Whiteout,
    /// A device number that the kernel does not have.
    Device,
    /// A hard link to a directory.
    LinkToDirectory,
    /// A hard link to the root, or to what the same layer deletes.
    LinkToNothing,
    /// A name that leads out of the directory.
    Outside,
    /// Something else in the place of a directory, where that is not wanted.
    OverDirectory,
    /// A directory in the place of something else, where that is not wanted.
    DirectoryOver,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Root => "names the root of the layer, which must be a directory",
            Refusal::Whiteout => "is a whiteout without a name to delete",
            Refusal::Device => "has a device number that does not exist",
            Refusal::LinkToDirectory => "is a hard link to a directory",
            Refusal::LinkToNothing => "is a hard link to a file that the layer does not have",
            Refusal::Outside => "leads out of the directory that the archive is for",
            Refusal::OverDirectory => "would replace a directory with something else",
            Refusal::DirectoryOver => "would replace what is no directory with a directory",
        })
    }
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Error::Read(source) => source.kind(),
            Error::Refused { .. } => Kind::InvalidInput,
            Error::Entry { source, .. } | Error::Root { source, .. } => kind_of(source),
        }
    }
}

/// What an error of the file system means for the one who wanted a layer applied or read.
pub(crate) fn kind_of(error: &io::Error) -> Kind {
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT | Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {
            Kind::ResourceExhausted
        }
        Some(Errno::PERM | Errno::ACCESS | Errno::ROFS) => Kind::PermissionDenied,
        Some(Errno::OPNOTSUPP | Errno::NOSYS) => Kind::Unsupported,
        // What an archive can bring about: loops, names too long, a file where a directory is needed.
        Some(
            Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::NOTDIR
            | Errno::ISDIR
            | Errno::NOENT
            | Errno::EXIST
            | Errno::INVAL
            | Errno::XDEV
            | Errno::MLINK
            | Errno::FBIG
            | Errno::TOOBIG
            | Errno::RANGE
            | Errno::NOTEMPTY,
        ) => Kind::InvalidInput,
        _ => Kind::Internal,
    }
}

/// A failure that does not know its entry yet.
#[derive(Debug)]
pub(super) enum Failure {
    System(&'static str, Errno),
    Read(tar::Error),
    Refused(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(refusal)
    }
}

impl From<tar::Error> for Failure {
    fn from(error: tar::Error) -> Failure {
        Failure::Read(error)
    }
}

impl Failure {
    /// For `map_err`: names the operation that failed.
    pub(super) fn of<E: Into<io::Error>>(operation: &'static str) -> impl Fn(E) -> Failure {
        move |error| {
            let error = error.into();
            Failure::System(operation, Errno::from_io_error(&error).unwrap_or(Errno::IO))
        }
    }

    /// The error of entry `number`, called `path`.
    pub(super) fn at(self, number: u64, path: &[u8]) -> Error {
        let path = readable(path);
        match self {
            Failure::System(operation, errno) => {
                Error::Entry { number, path, operation, source: errno.into() }
            }
            Failure::Read(source) => Error::Read(source),
            Failure::Refused(refusal) => Error::Refused { number, path, refusal },
        }
    }

    /// The error of no entry.
    pub(super) fn of_root(self) -> Error {
        match self {
            Failure::System(operation, errno) => Error::Root { operation, source: errno.into() },
            other => other.at(0, b"/"),
        }
    }
}

/// A path for a message: no control characters, not longer than a line or two.
pub(crate) fn readable(path: &[u8]) -> String {
    const LONGEST: usize = 300;
    let short = &path[..path.len().min(LONGEST)];
    let mut text: String = String::from_utf8_lossy(short).escape_debug().collect();
    if path.len() > LONGEST {
        text.push('…');
    }
    text
}
