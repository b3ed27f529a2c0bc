//! The files of a log, oldest first, while their writer goes on and rotates them.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use longshore_types::Timestamp;

use super::record;

/// Bytes read at once where lines are looked for.
const BLOCK: usize = 32 << 10;

/// A file's identity, which renaming does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u64, u64);

impl Id {
    pub(super) fn new(device: u64, inode: u64) -> Self {
        Self(device, inode)
    }

    pub(super) fn numbers(self) -> (u64, u64) {
        (self.0, self.1)
    }
}

/// Part of a log: a file, and where in it to begin.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    pub(super) id: Id,
    pub(super) start: u64,
    /// Its length when it was opened.
    pub(super) end: u64,
}

fn generation(base: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return base.to_owned();
    }
    let mut name = base.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path) -> io::Result<Option<Segment>> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    Ok(Some(Segment { file, id: Id(status.dev(), status.ino()), start: 0, end: status.len() }))
}

/// Opens all files, oldest first.
///
/// The newest is opened first: files move away from there only, so that a rotation meanwhile shows one of them twice
/// and hides none.
pub(super) fn all(base: &Path) -> io::Result<Vec<Segment>> {
    let mut segments: Vec<Segment> = Vec::new();
    for number in 0.. {
        let Some(segment) = open(&generation(base, number))? else {
            // Between the rename and the making of a new file there is no current one.
            if number == 0 {
                continue;
            }
            break;
        };
        if !segments.iter().any(|known| known.id == segment.id) {
            segments.push(segment);
        }
    }
    segments.reverse();
    Ok(segments)
}

/// The file that was written after the one with this identity. `None` when that is the current one, or when it is not
/// there yet. Of files that are gone the oldest one left follows.
pub(super) fn next(base: &Path, id: Id) -> io::Result<Option<Segment>> {
    let mut newer: Option<Segment> = None;
    for number in 0.. {
        match open(&generation(base, number))? {
            Some(segment) if segment.id == id => return Ok(newer),
            Some(segment) => newer = Some(segment),
            None if number == 0 => {}
            None => break,
        }
    }
    Ok(newer)
}

impl Segment {
    /// Whether a line begins at `at`.
    pub(super) fn begins_at(&self, at: u64) -> io::Result<bool> {
        if at == 0 {
            return Ok(true);
        }
        if at > self.end {
            return Ok(false);
        }
        let mut before = [0];
        self.file.read_exact_at(&mut before, at - 1)?;
        Ok(before == *b"\n")
    }

    /// Where the line begins that has the byte at `at` in it, or ends right before it.
    fn line_start(&self, at: u64) -> io::Result<u64> {
        let mut block = vec![0; BLOCK];
        let mut end = at;
        while end > 0 {
            let begin = end.saturating_sub(BLOCK as u64);
            let length = usize::try_from(end - begin).unwrap_or(BLOCK);
            self.file.read_exact_at(&mut block[..length], begin)?;
            if let Some(newline) = block[..length].iter().rposition(|byte| *byte == b'\n') {
                return Ok(begin + newline as u64 + 1);
            }
            end = begin;
        }
        Ok(0)
    }

    /// The line at `start`, without its break; `None` when it has not ended by `limit`.
    fn line_at(&self, start: u64, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut at = start;
        while at < limit {
            let mut block = vec![0; BLOCK.min(usize::try_from(limit - at).unwrap_or(BLOCK))];
            let length = self.file.read_at(&mut block, at)?;
            if length == 0 {
                break;
            }
            if let Some(newline) = block[..length].iter().position(|byte| *byte == b'\n') {
                line.extend_from_slice(&block[..newline]);
                return Ok(Some(line));
            }
            line.extend_from_slice(&block[..length]);
            at += length as u64;
        }
        Ok(None)
    }

    /// Begins at the last lines, and returns how many fewer than `lines` there are.
    fn keep_last(&mut self, lines: u64) -> io::Result<u64> {
        // What follows the last line break is a line that is being written.
        let mut end = self.line_start(self.end)?;
        if lines == 0 {
            self.start = end;
            return Ok(0);
        }
        let mut wanted = lines;
        let mut block = vec![0; BLOCK];
        // The break that ends the last line does not count.
        end = end.saturating_sub(1);
        while end > 0 {
            let begin = end.saturating_sub(BLOCK as u64);
            let length = usize::try_from(end - begin).unwrap_or(BLOCK);
            self.file.read_exact_at(&mut block[..length], begin)?;
            for (at, byte) in block[..length].iter().enumerate().rev() {
                if *byte == b'\n' {
                    wanted -= 1;
                    if wanted == 0 {
                        self.start = begin + at as u64 + 1;
                        return Ok(0);
                    }
                }
            }
            end = begin;
        }
        self.start = 0;
        let any = self.end > 0 && self.line_start(self.end)? > 0;
        Ok(if any { wanted - 1 } else { wanted })
    }

    /// Begins at the first line of this time or later, found by halving: lines are in the order of their times.
    fn skip_before(&mut self, since: Timestamp) -> io::Result<()> {
        let (mut low, mut high) = (self.start, self.end);
        while low < high {
            let middle = self.line_start(low + (high - low) / 2)?.max(low);
            let Some(line) = self.line_at(middle, self.end)? else {
                high = middle;
                continue;
            };
            if record::time(&line).is_none_or(|time| time < since) {
                low = middle + line.len() as u64 + 1;
            } else {
                high = middle;
            }
        }
        self.start = low;
        Ok(())
    }
}

/// Leaves the last `lines` lines.
pub(super) fn tail(segments: &mut Vec<Segment>, mut lines: u64) -> io::Result<()> {
    for index in (0..segments.len()).rev() {
        lines = segments[index].keep_last(lines)?;
        if lines == 0 {
            segments.drain(..index);
            break;
        }
    }
    Ok(())
}

/// Leaves what is of this time or later.
pub(super) fn since(segments: &mut Vec<Segment>, since: Timestamp) -> io::Result<()> {
    for index in (0..segments.len()).rev() {
        segments[index].skip_before(since)?;
        let all_later = segments[index].start == 0;
        if !all_later {
            segments.drain(..index);
            break;
        }
    }
    Ok(())
}
