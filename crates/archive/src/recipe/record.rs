use super::{BYTES, END, FILE, LITERAL, MAGIC};
use crate::entry::{Entry, Kind};
use crate::limits::Limits;
use crate::tar::{Assembler, BLOCK, Step, padding};
use longshore_types::Kind as ErrorKind;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("write the recipe of a layer")]
    Write(#[source] io::Error),
    #[error("the archive was not read to its end, or is none: no recipe of it")]
    Incomplete,
}

impl RecordError {
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            RecordError::Write(error) if error.kind() == io::ErrorKind::StorageFull => {
                ErrorKind::ResourceExhausted
            }
            RecordError::Write(_) => ErrorKind::Internal,
            RecordError::Incomplete => ErrorKind::InvalidInput,
        }
    }
}

/// Passes a tar stream on and writes its recipe.
///
/// Problems of the archive are left to whoever reads it; `finish` then has no recipe.
pub struct Recorder<R, W: Write> {
    source: R,
    out: zstd::Encoder<'static, W>,
    assembler: Assembler,
    state: State,
    block: Vec<u8>,
    literal: Vec<u8>,
    length: u64,
    /// What went wrong; nothing is recorded after it.
    failure: Option<RecordError>,
}

#[derive(Debug)]
enum State {
    /// Gathering a block that is no content.
    Block,
    /// In the content of an entry.
    Content { left: u64, padding: u64, literal: bool },
    /// After the two empty blocks.
    Ended,
}

impl<R, W: Write> fmt::Debug for Recorder<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<R: Read, W: Write> Recorder<R, W> {
    /// Writes the recipe of what is read through it to `out`.
    pub fn new(source: R, out: W, limits: &Limits) -> Result<Recorder<R, W>, RecordError> {
        let mut out = zstd::Encoder::new(out, 3).map_err(RecordError::Write)?;
        out.write_all(MAGIC).map_err(RecordError::Write)?;
        Ok(Recorder {
            source,
            out,
            assembler: Assembler::new(limits),
            state: State::Block,
            block: Vec::with_capacity(BLOCK),
            literal: Vec::with_capacity(LITERAL),
            length: 0,
            failure: None,
        })
    }

    /// Ends the recipe, once the stream was read to its end.
    pub fn finish(mut self) -> Result<W, RecordError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        // Zeros that are no whole block may end a file.
        let between = self.assembler.is_between() && self.block.iter().all(|&byte| byte == 0);
        match self.state {
            State::Ended => {}
            State::Block if between => {}
            _ => return Err(RecordError::Incomplete),
        }
        let rest = std::mem::take(&mut self.block);
        self.keep(&rest)?;
        self.flush()?;
        let mut end = vec![END];
        push(&mut end, self.length);
        self.out.write_all(&end).map_err(RecordError::Write)?;
        let mut out = self.out.finish().map_err(RecordError::Write)?;
        out.flush().map_err(RecordError::Write)?;
        Ok(out)
    }

    fn observe(&mut self, mut bytes: &[u8]) -> Result<(), RecordError> {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            let used = match self.state {
                State::Ended => {
                    self.keep(bytes)?;
                    bytes.len()
                }
                State::Block => self.gather(bytes)?,
                State::Content { left, padding, literal } => self.content(bytes, left, padding, literal)?,
            };
            bytes = &bytes[used..];
        }
        Ok(())
    }

    /// Takes content and what pads it.
    fn content(
        &mut self,
        bytes: &[u8],
        left: u64,
        padding: u64,
        literal: bool,
    ) -> Result<usize, RecordError> {
        let take = |left: u64| usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let used = if left > 0 {
            let used = take(left);
            if literal {
                self.keep(&bytes[..used])?;
            }
            self.state = State::Content { left: left - used as u64, padding, literal };
            used
        } else {
            let used = take(padding);
            self.keep(&bytes[..used])?;
            self.state = State::Content { left, padding: padding - used as u64, literal };
            used
        };
        if matches!(self.state, State::Content { left: 0, padding: 0, .. }) {
            self.state = State::Block;
        }
        Ok(used)
    }

    /// Takes a part of a block; whole ones go to the assembler.
    fn gather(&mut self, bytes: &[u8]) -> Result<usize, RecordError> {
        let used = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..used]);
        let Some(block) = self.block.first_chunk::<BLOCK>() else { return Ok(used) };
        let block = *block;
        self.block.clear();
        self.keep(&block)?;
        match self.assembler.block(&block).map_err(|_| RecordError::Incomplete)? {
            Step::More => {}
            Step::End => self.state = State::Ended,
            Step::Entry(entry, stored) => self.entry(&entry, stored)?,
        }
        Ok(used)
    }

    fn entry(&mut self, entry: &Entry, stored: u64) -> Result<(), RecordError> {
        if stored == 0 {
            return Ok(());
        }
        // Markers of deleted files are not applied as files, nor are AUFS's.
        let marker = entry.path.split(|&byte| byte == b'/').any(|part| part.starts_with(b".wh."));
        let literal = marker || entry.kind != Kind::File;
        if !literal {
            let whole = [(0, stored)];
            let mut pieces: VecDeque<_> = entry.sparse.as_deref().unwrap_or(&whole).iter().copied().collect();
            while let Some((offset, length)) = pieces.pop_front() {
                self.file(&entry.path, offset, length)?;
            }
        }
        self.state = State::Content { left: stored, padding: padding(stored), literal };
        Ok(())
    }

    fn file(&mut self, path: &[u8], offset: u64, length: u64) -> Result<(), RecordError> {
        self.flush()?;
        let mut item = vec![FILE];
        push(&mut item, path.len() as u64);
        item.extend_from_slice(path);
        push(&mut item, offset);
        push(&mut item, length);
        self.out.write_all(&item).map_err(RecordError::Write)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        for part in bytes.chunks(LITERAL) {
            if self.literal.len() + part.len() > LITERAL {
                self.flush()?;
            }
            self.literal.extend_from_slice(part);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RecordError> {
        if self.literal.is_empty() {
            return Ok(());
        }
        let mut item = vec![BYTES];
        push(&mut item, self.literal.len() as u64);
        self.out.write_all(&item).map_err(RecordError::Write)?;
        self.out.write_all(&self.literal).map_err(RecordError::Write)?;
        self.literal.clear();
        Ok(())
    }
}

impl<R: Read, W: Write> Read for Recorder<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        if self.failure.is_none()
            && let Err(failure) = self.observe(&buffer[..length])
        {
            self.failure = Some(failure);
        }
        Ok(length)
    }
}

fn push(item: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        item.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    item.push(u8::try_from(number).unwrap_or_default());
}
