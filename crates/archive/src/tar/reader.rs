use super::assemble::{Assembler, Step};
use super::error::{Error, Problem};
use super::{BLOCK, Block, padding};
use crate::entry::Entry;
use crate::limits::Limits;
use std::fmt;
use std::io::{self, BufRead, Read};

/// Large enough that a system call per fill does not matter, small enough for the second-level cache.
const BUFFER: usize = 256 << 10;

/// Reads an archive from a stream, entry by entry.
///
/// After [`next`](Reader::next) gave an entry, its content can be taken: [`chunk`](Reader::chunk) and
/// [`advance`](Reader::advance) show it in the reader's own buffer (also as [`BufRead`]), [`Read`] copies
/// it. What is not taken is skipped. A sparse file's content comes in pieces: call
/// [`next_piece`](Reader::next_piece) before each. Other files are one piece, which need not be asked for.
///
/// `None` from `next` means that the source was read to its end and that nothing but zeros followed the
/// archive.
pub struct Reader<R> {
    source: R,
    buffer: Box<[u8]>,
    /// What is read and not yet consumed: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Of `buffer[start]` in the archive.
    offset: u64,
    limits: Limits,
    assembler: Assembler,
    /// Where the entry at hand begins.
    entry_offset: u64,
    /// Content of the entry that is still in the stream, and of this the current piece.
    stored: u64,
    piece: u64,
    /// Bytes after the content.
    padding: u64,
    pieces: Pieces,
    ended: bool,
}

/// The pieces of the current entry that were not asked for yet.
#[derive(Debug)]
enum Pieces {
    /// Not sparse; the one piece is open already.
    Whole(Option<u64>),
    Sparse(std::vec::IntoIter<(u64, u64)>),
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("offset", &self.offset)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Reader<R> {
    /// Reads `source`, which need not be buffered.
    pub fn new(source: R, limits: &Limits) -> Reader<R> {
        Reader {
            source,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            limits: *limits,
            assembler: Assembler::new(limits),
            entry_offset: 0,
            stored: 0,
            piece: 0,
            padding: 0,
            pieces: Pieces::Whole(None),
            ended: false,
        }
    }

    /// Bytes of the archive that are consumed.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The source, of which a part may have been read ahead.
    pub fn get_ref(&self) -> &R {
        &self.source
    }

    /// Gives the source back; after the end of the archive nothing of it is lost.
    pub fn into_inner(self) -> R {
        self.source
    }

    fn problem(&self, problem: Problem) -> Error {
        let (number, name) = self.assembler.at();
        Error::Entry { number, offset: self.entry_offset, name, problem }
    }

    /// An error about the entry that was given out last.
    fn problem_in_content(&self, problem: Problem) -> Error {
        let (number, name) = self.assembler.at();
        Error::Entry { number: number - 1, offset: self.entry_offset, name, problem }
    }

    /// The next entry; `None` at the end of the archive.
    #[expect(clippy::should_implement_trait, reason = "an iterator could not fail and lend")]
    pub fn next(&mut self) -> Result<Option<Entry>, Error> {
        if self.ended {
            return Ok(None);
        }
        self.skip_content()?;
        self.entry_offset = self.offset;
        loop {
            let Some(block) = self.block()? else {
                self.assembler.end_of_file().map_err(|problem| self.problem(problem))?;
                self.ended = true;
                return Ok(None);
            };
            let between = self.assembler.is_between();
            let step = self.assembler.block(&block);
            if between {
                self.entry_offset = self.offset - BLOCK as u64;
            }
            match step.map_err(|problem| self.problem(problem))? {
                Step::More => {}
                Step::Entry(entry, stored) => {
                    self.stored = stored;
                    self.padding = padding(stored);
                    (self.piece, self.pieces) = match &entry.sparse {
                        None => (stored, Pieces::Whole(Some(stored))),
                        Some(map) => (0, Pieces::Sparse(map.clone().into_iter())),
                    };
                    return Ok(Some(entry));
                }
                Step::End => {
                    self.finish()?;
                    return Ok(None);
                }
            }
        }
    }

    /// Reads what follows the archive, which must be zeros and not too many. `next` does this at the end.
    fn finish(&mut self) -> Result<(), Error> {
        let mut rest = self.limits.padding_bytes;
        loop {
            let padding = &self.buffer[self.start..self.end];
            let length = padding.len() as u64;
            if padding.iter().any(|&byte| byte != 0) {
                return Err(self.problem(Problem::DataAfterEnd));
            }
            let limit = self.limits.padding_bytes;
            rest = rest.checked_sub(length).ok_or_else(|| {
                self.problem(Problem::Limit { what: "zero bytes after the end of the archive", limit })
            })?;
            self.take(self.end - self.start);
            if self.fill()? == 0 {
                self.ended = true;
                return Ok(());
            }
        }
    }

    /// The next piece of a file's content: its offset in the file, and its length. What was not read of the
    /// piece before is skipped.
    pub fn next_piece(&mut self) -> Result<Option<(u64, u64)>, Error> {
        match &mut self.pieces {
            Pieces::Whole(piece) => {
                let piece = piece.take().map(|length| (0, length));
                if piece.is_none() {
                    self.skip_piece()?;
                }
                Ok(piece)
            }
            Pieces::Sparse(pieces) => {
                let piece = pieces.next();
                self.skip_piece()?;
                self.piece = piece.map_or(0, |(_, length)| length);
                Ok(piece)
            }
        }
    }

    fn skip_piece(&mut self) -> Result<(), Error> {
        while self.piece > 0 {
            let length = self.chunk()?.len();
            self.advance(length);
        }
        Ok(())
    }

    fn skip_content(&mut self) -> Result<(), Error> {
        self.piece = self.stored;
        self.skip_piece()?;
        let padding = usize::try_from(self.padding).unwrap_or_default();
        if self.at_least(padding)? < padding {
            return Err(self.problem_in_content(Problem::Truncated));
        }
        self.take(padding);
        self.padding = 0;
        Ok(())
    }

    /// A part of the current piece in the reader's buffer, as long as there is; empty at the piece's end.
    pub fn chunk(&mut self) -> Result<&[u8], Error> {
        if self.piece == 0 {
            return Ok(&[]);
        }
        if self.start == self.end && self.fill()? == 0 {
            return Err(self.problem_in_content(Problem::Truncated));
        }
        let there = &self.buffer[self.start..self.end];
        let length = usize::try_from(self.piece).map_or(there.len(), |piece| piece.min(there.len()));
        Ok(&there[..length])
    }

    /// Consumes so many bytes of what `chunk` showed; more than that are not taken.
    pub fn advance(&mut self, length: usize) {
        let length = length.min(self.end - self.start);
        let length = usize::try_from(self.piece).map_or(length, |piece| piece.min(length));
        self.take(length);
        self.piece -= length as u64;
        self.stored -= length as u64;
    }

    fn take(&mut self, length: usize) {
        self.start += length;
        self.offset += length as u64;
    }

    /// The next block, or nothing at the end of the source.
    fn block(&mut self) -> Result<Option<Block>, Error> {
        let there = self.at_least(BLOCK)?;
        if let Some(block) = self.buffer[self.start..self.end].first_chunk::<BLOCK>() {
            let block = *block;
            self.take(BLOCK);
            return Ok(Some(block));
        }
        let rest = &self.buffer[self.start..self.start + there];
        // Half a block at the end: nothing but zeros are the end of an archive cut short.
        if rest.iter().any(|&byte| byte != 0) || (there > 0 && !self.assembler.is_between()) {
            return Err(self.problem(Problem::Truncated));
        }
        self.take(there);
        Ok(None)
    }

    /// Reads until so many bytes (a block at most) are there, or the source ends; says how many are.
    fn at_least(&mut self, wanted: usize) -> Result<usize, Error> {
        while self.end - self.start < wanted {
            if self.fill()? == 0 {
                break;
            }
        }
        Ok(self.end - self.start)
    }

    /// Reads once. 0 is the end of the source.
    fn fill(&mut self) -> Result<usize, Error> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < BLOCK {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let length = loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let offset = self.offset + (self.end - self.start) as u64;
                    return Err(Error::Read { offset, source });
                }
            }
        };
        self.end += length;
        let limit = self.limits.archive_bytes;
        if self.offset + (self.end - self.start) as u64 > limit {
            return Err(self.problem(Problem::Limit { what: "bytes in the archive", limit }));
        }
        Ok(length)
    }
}

/// The content of the current piece.
impl<R: Read> BufRead for Reader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.chunk().map_err(io::Error::from)
    }

    fn consume(&mut self, length: usize) {
        self.advance(length);
    }
}

/// The content of the current piece.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self.fill_buf()?;
        let length = chunk.len().min(buffer.len());
        buffer[..length].copy_from_slice(&chunk[..length]);
        self.advance(length);
        Ok(length)
    }
}
