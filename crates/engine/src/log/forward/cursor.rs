//! How far a container's output has been sent: `forwarded` in its data directory, one line of fixed length.
//!
//! It is written after what it says was sent, so that nothing is lost with the daemon; what was sent last may be sent
//! again by the next one.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use crate::log::files::Id;

/// Its name. Not beside the log files, whose directory is watched.
const NAME: &str = "forwarded";

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) struct Place {
    pub(in crate::log) file: Id,
    /// Bytes of that file that are done with.
    pub(in crate::log) at: u64,
}

/// The file that keeps a place.
#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    saved: Option<Place>,
}

impl Cursor {
    /// Opens it; where there is none, or nonsense, no place is known.
    pub(super) fn open(data_dir: &Path) -> io::Result<Self> {
        let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = File::options();
        let options =
            options.read(true).write(true).create(true).truncate(false).custom_flags(flags).mode(0o600);
        let file = options.open(data_dir.join(NAME))?;
        let mut line = [0; LENGTH];
        let saved = match file.read_exact_at(&mut line, 0) {
            Ok(()) => parse(&line),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        Ok(Self { file, saved })
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.saved
    }

    pub(super) fn save(&mut self, place: Option<Place>) -> io::Result<()> {
        if let Some(place) = place.filter(|place| self.saved != Some(*place)) {
            let (device, inode) = place.file.numbers();
            let line = format!("{device:020} {inode:020} {:020}\n", place.at);
            self.file.write_all_at(line.as_bytes(), 0)?;
            self.saved = Some(place);
        }
        Ok(())
    }
}

/// Three numbers of twenty digits, two spaces and a break.
const LENGTH: usize = 63;

fn parse(line: &[u8; LENGTH]) -> Option<Place> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let mut numbers = text.split(' ').map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let (device, inode, at) = (next()?, next()?, next()?);
    Some(Place { file: Id::new(device, inode), at })
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Id, Place};

    #[test]
    fn a_place_is_kept_and_nonsense_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let mut cursor = Cursor::open(dir.path()).unwrap();
        assert_eq!(cursor.place(), None);
        for at in [u64::MAX, 7] {
            let place = Place { file: Id::new(3, u64::MAX), at };
            cursor.save(Some(place)).unwrap();
            cursor.save(None).unwrap();
            assert_eq!(Cursor::open(dir.path()).unwrap().place(), Some(place));
        }
        std::fs::write(dir.path().join("forwarded"), "x".repeat(63)).unwrap();
        assert_eq!(Cursor::open(dir.path()).unwrap().place(), None);
    }
}
