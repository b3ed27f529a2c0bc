//! The bytes of a layer: those that were here, then the source's, which are kept on their way.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Take, Write},
};

use longshore_store::Ingest;

use super::Error;

/// Reads what a partial blob has, then the source; what comes from the source is added to the blob.
pub(super) struct Input<'p, R> {
    /// What was here before.
    before: Option<BufReader<Take<File>>>,
    source: R,
    keep: Option<Ingest>,
    /// How much of the source's current buffer has been kept.
    seen: usize,
    /// Bytes taken, with those that were here.
    taken: u64,
    progress: Option<&'p (dyn Fn(u64) + Sync)>,
    failure: Option<Failure>,
}

/// Whose failure the decoder's caller got to see.
#[derive(Debug)]
enum Failure {
    Source(io::Error),
    Keep(io::Error),
}

/// How much of a partial blob is read at once.
const BUFFER: usize = 128 << 10;

impl<'p, R: BufRead> Input<'p, R> {
    pub(super) fn new(
        source: R,
        mut keep: Option<Ingest>,
        progress: Option<&'p (dyn Fn(u64) + Sync)>,
    ) -> longshore_store::Result<Self> {
        let before = match &mut keep {
            Some(keep) if keep.offset() > 0 => {
                Some(BufReader::with_capacity(BUFFER, keep.reader()?.take(keep.offset())))
            }
            _ => None,
        };
        Ok(Self { before, source, keep, seen: 0, taken: 0, progress, failure: None })
    }

    /// The failure of the source or of the disk, if there was one.
    pub(super) fn failure(&mut self, layer: &str) -> Option<Error> {
        let layer = layer.to_owned();
        match self.failure.take()? {
            Failure::Source(source) => Some(Error::Source { layer, source }),
            Failure::Keep(source) => {
                // Nothing of it can be used while the disk is full or broken: give the space back.
                if let Some(keep) = self.keep.take() {
                    keep.abort().ok();
                }
                Some(Error::Keep { layer, source })
            }
        }
    }

    /// How many announced bytes are still to come.
    pub(super) fn rest(&self) -> Option<u64> {
        let keep = self.keep.as_ref()?;
        Some(keep.expected_size()?.saturating_sub(keep.offset()))
    }

    /// Takes what is left of the source.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        self.before = None;
        loop {
            let length = self.fill_buf()?.len();
            if length == 0 {
                return Ok(());
            }
            self.consume(length);
        }
    }

    pub(super) fn take_keep(&mut self) -> Option<Ingest> {
        self.keep.take()
    }

    pub(super) fn into_keep(self) -> Option<Ingest> {
        self.keep
    }

    fn count(&mut self, length: usize) {
        self.taken += length as u64;
        if let Some(progress) = self.progress {
            progress(self.taken);
        }
    }
}

/// An error again, for the decoder; the original is kept aside.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

impl<R: BufRead> BufRead for Input<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(before) = &mut self.before {
            match before.fill_buf() {
                Ok([]) => self.before = None,
                Ok(_) => {}
                Err(error) => {
                    let copy = again(&error);
                    self.failure = Some(Failure::Keep(error));
                    return Err(copy);
                }
            }
        }
        if let Some(before) = &self.before {
            return Ok(before.buffer());
        }
        let piece = match self.source.fill_buf() {
            Ok(piece) => piece,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let copy = again(&error);
                self.failure = Some(Failure::Source(error));
                return Err(copy);
            }
        };
        if piece.len() > self.seen
            && let Some(keep) = &mut self.keep
        {
            if let Err(error) = keep.write_all(&piece[self.seen..]) {
                let copy = again(&error);
                self.failure = Some(Failure::Keep(error));
                return Err(copy);
            }
            self.seen = piece.len();
        }
        Ok(piece)
    }

    fn consume(&mut self, length: usize) {
        match &mut self.before {
            Some(before) => before.consume(length),
            None => {
                self.source.consume(length);
                self.seen = self.seen.saturating_sub(length);
            }
        }
        self.count(length);
    }
}

impl<R: BufRead> Read for Input<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.consume(length);
        Ok(length)
    }
}
