//! Reading a log: what is there, and what comes.

use std::{
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use longshore_types::Timestamp;

use super::{
    Line,
    files::{self, Segment},
    forward::Place,
    record,
};
use crate::attach::Channel;

/// Bytes read from a file at once.
const BLOCK: usize = 64 << 10;
/// Bytes of output handed on at once, about.
const BATCH: usize = 128 << 10;
/// The longest line that is one: a record of 16 KiB, each byte of it escaped, and what it repeats.
const MAX_LINE: usize = 4 << 20;

/// What somebody wants to read.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub stdout: bool,
    pub stderr: bool,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Lines of the end, of both streams together; all when absent.
    pub tail: Option<u64>,
    /// Whether to wait for more while the container runs.
    pub follow: bool,
}

/// How output is written for who reads it.
pub type Encode = Box<dyn FnMut(&Line<'_>, &mut Vec<u8>) + Send>;

/// A place in a log.
pub(super) struct Reader {
    base: PathBuf,
    query: Query,
    encode: Encode,
    /// Oldest first; the first is being read.
    segments: std::collections::VecDeque<Segment>,
    /// Where in the first to read on.
    at: u64,
    /// The beginning of a line whose end has not been read.
    begun: Vec<u8>,
    /// Nothing more is wanted.
    over: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("base", &self.base).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Reader {
    /// Finds the place to begin at. Blocks.
    pub(super) fn open(base: &Path, query: Query, encode: Encode) -> io::Result<Self> {
        let mut segments =
            if base.parent().is_some_and(Path::exists) { files::all(base)? } else { Vec::new() };
        if let Some(lines) = query.tail {
            files::tail(&mut segments, lines)?;
        }
        if let Some(since) = query.since {
            files::since(&mut segments, since)?;
        }
        let at = segments.first().map_or(0, |segment| segment.start);
        let (base, segments) = (base.to_owned(), segments.into());
        Ok(Self { base, query, encode, segments, at, begun: Vec::new(), over: false })
    }

    /// Goes on from a place that [`Self::place`] told once. Where its file is gone, or something else is in it, from
    /// the beginning of the oldest file. Blocks.
    pub(super) fn open_at(
        base: &Path,
        place: Option<Place>,
        query: Query,
        encode: Encode,
    ) -> io::Result<Self> {
        let mut segments = files::all(base)?;
        let mut at = 0;
        if let Some(place) = place
            && let Some(index) = segments.iter().position(|segment| segment.id == place.file)
        {
            segments.drain(..index);
            // With one file in all the writer begins it again; and a number may be that of another file by now.
            at = if segments[0].begins_at(place.at)? { place.at } else { 0 };
        }
        let (base, segments) = (base.to_owned(), segments.into());
        Ok(Self { base, query, encode, segments, at, begun: Vec::new(), over: false })
    }

    /// What comes next, about [`BATCH`] of it; empty when there is nothing for now, or ever where nobody
    /// follows. Blocks.
    pub(super) fn next(&mut self) -> io::Result<Bytes> {
        let mut out = Vec::new();
        while out.len() < BATCH && !self.over {
            // Asked first: what is written before a rotation is in the old file.
            let newer = self.newer()?;
            if !self.fill(&mut out)? {
                continue;
            }
            match newer {
                Newer::None => break,
                Newer::Queued => drop(self.segments.pop_front()),
                Newer::File(segment) => {
                    self.segments.clear();
                    self.segments.push_back(segment);
                }
            }
            self.begun.clear();
            self.at = self.segments.front().map_or(0, |segment| segment.start);
        }
        Ok(out.into())
    }

    /// What follows the file that is being read.
    fn newer(&self) -> io::Result<Newer> {
        if self.segments.len() > 1 {
            return Ok(Newer::Queued);
        }
        if !self.query.follow {
            return Ok(Newer::None);
        }
        let next = match self.segments.front() {
            Some(segment) => files::next(&self.base, segment.id)?,
            // The first output makes the file.
            None => files::all(&self.base)?.into_iter().next(),
        };
        Ok(next.map_or(Newer::None, Newer::File))
    }

    /// Takes a block of the file; `true` at its end.
    fn fill(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let Some(segment) = self.segments.front() else { return Ok(true) };
        let limit = if self.query.follow { u64::MAX } else { segment.end };
        let room = BLOCK.min(usize::try_from(limit.saturating_sub(self.at)).unwrap_or(BLOCK));
        let mut block = vec![0; room];
        let length = segment.file.read_at(&mut block, self.at)?;
        if length == 0 {
            // With one file in all the writer begins it again.
            if self.query.follow && segment.file.metadata()?.len() < self.at {
                self.at = 0;
                self.begun.clear();
                return Ok(false);
            }
            return Ok(true);
        }
        self.at += length as u64;
        self.lines(&block[..length], out);
        Ok(false)
    }

    fn lines(&mut self, mut block: &[u8], out: &mut Vec<u8>) {
        while let Some(newline) = block.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&block[..newline], &block[newline + 1..]);
            if self.begun.is_empty() {
                self.line(line, out);
            } else {
                let mut whole = std::mem::take(&mut self.begun);
                whole.extend_from_slice(line);
                self.line(&whole, out);
            }
            block = rest;
            if self.over {
                return;
            }
        }
        if self.begun.len() + block.len() > MAX_LINE {
            // Nothing that a monitor writes.
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(block);
        }
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some(line) = record::parse(line) else { return };
        if self.query.until.is_some_and(|until| line.time > until) {
            self.over = true;
            return;
        }
        let wanted = match line.channel {
            Channel::Stdout => self.query.stdout,
            Channel::Stderr => self.query.stderr,
        };
        if wanted && self.query.since.is_none_or(|since| line.time >= since) {
            (self.encode)(&line, out);
        }
    }

    /// Behind the last line that was taken; `None` before there is a file.
    pub(super) fn place(&self) -> Option<Place> {
        let segment = self.segments.front()?;
        Some(Place { file: segment.id, at: self.at - self.begun.len() as u64 })
    }

    /// Whether nothing more is wanted whatever comes.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }
}

/// What follows a file.
enum Newer {
    None,
    /// One that was there at the beginning.
    Queued,
    File(Segment),
}
