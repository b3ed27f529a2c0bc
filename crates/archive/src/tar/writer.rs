//! Writing: ustar headers, with a PAX header before those entries that ustar cannot hold.
//!
//! The same entries give the same bytes, everywhere and always: no names of users, no process numbers, no
//! times but those of the entries, records in a fixed order. Sparse files are written with their holes as
//! zeros, since some readers of layers know no sparse files.

use super::{BLOCK, Block, padding};
use crate::entry::{Entry, Kind};
use std::fmt;
use std::io::{self, Read, Write};

/// Why an archive was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("write the archive")]
    Write(#[source] io::Error),
    #[error("read the content of {path}")]
    Content { path: String, source: io::Error },
    #[error("{path} has fewer than {size} bytes now: it changed while it was archived")]
    Shrunk { path: String, size: u64 },
    #[error("{path} cannot be archived: {problem}")]
    Entry { path: String, problem: &'static str },
}

impl WriteError {
    #[must_use]
    pub fn kind(&self) -> longshore_types::Kind {
        use longshore_types::Kind;
        match self {
            WriteError::Write(error) if error.kind() == io::ErrorKind::StorageFull => Kind::ResourceExhausted,
            WriteError::Write(_) | WriteError::Content { .. } => Kind::Internal,
            WriteError::Shrunk { .. } => Kind::Conflict,
            WriteError::Entry { .. } => Kind::InvalidInput,
        }
    }
}

/// Writes an archive to a stream.
pub struct Writer<W> {
    out: W,
    written: u64,
    buffer: Box<[u8]>,
}

impl<W> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("written", &self.written).finish_non_exhaustive()
    }
}

const BUFFER: usize = 256 << 10;

impl<W: Write> Writer<W> {
    /// Writes to `out`, in pieces of up to 256 KiB; small ones are gathered.
    pub fn new(out: W) -> Writer<W> {
        Writer { out, written: 0, buffer: vec![0; BUFFER].into_boxed_slice() }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes an entry. `content` must have `entry.size` bytes, and is read for files only.
    pub fn entry(&mut self, entry: &Entry, content: impl Read) -> Result<(), WriteError> {
        let header = Headers::new(entry)?;
        self.put(&header.bytes)?;
        if entry.kind == Kind::File { self.content(entry, content) } else { Ok(()) }
    }

    fn content(&mut self, entry: &Entry, mut content: impl Read) -> Result<(), WriteError> {
        let mut left = entry.size;
        while left > 0 {
            let wanted = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
            match content.read(&mut self.buffer[..wanted]) {
                Ok(0) => return Err(WriteError::Shrunk { path: shown(entry), size: entry.size }),
                Ok(length) => {
                    self.out.write_all(&self.buffer[..length]).map_err(WriteError::Write)?;
                    self.written += length as u64;
                    left -= length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(WriteError::Content { path: shown(entry), source }),
            }
        }
        let padding = usize::try_from(padding(entry.size)).unwrap_or_default();
        self.put(&[0; BLOCK][..padding])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.out.write_all(bytes).map_err(WriteError::Write)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes the end of the archive and gives the stream back, flushed.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.put(&[0; 2 * BLOCK])?;
        self.out.flush().map_err(WriteError::Write)?;
        Ok(self.out)
    }
}

fn shown(entry: &Entry) -> String {
    entry.path.escape_ascii().to_string()
}

/// The blocks before an entry's content.
struct Headers {
    bytes: Vec<u8>,
}

impl Headers {
    fn new(entry: &Entry) -> Result<Headers, WriteError> {
        if let Some(problem) = problem(entry) {
            return Err(WriteError::Entry { path: shown(entry), problem });
        }
        let mut records = Vec::new();
        let mut block = [0; BLOCK];
        fill(&mut block, entry, &mut records);
        if records.is_empty() {
            return Ok(Headers { bytes: block.to_vec() });
        }
        let mut extended = [0; BLOCK];
        // Its own name matters to nobody who knows PAX; others make a file of it.
        extended[..10].copy_from_slice(b"PaxHeaders");
        octal(&mut extended[100..108], 0o644);
        octal(&mut extended[108..116], 0);
        octal(&mut extended[116..124], 0);
        octal(&mut extended[124..136], records.len() as u64);
        octal(&mut extended[136..148], 0);
        extended[156] = b'x';
        seal(&mut extended);
        let mut bytes = extended.to_vec();
        bytes.extend_from_slice(&records);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes.extend_from_slice(&block);
        Ok(Headers { bytes })
    }
}

/// What no reader would read back.
fn problem(entry: &Entry) -> Option<&'static str> {
    let link = matches!(entry.kind, Kind::Symlink | Kind::Hardlink);
    if entry.path.is_empty() || entry.path.contains(&0) {
        return Some("its name is empty or has a NUL");
    }
    if entry.link.contains(&0) || (link && entry.link.is_empty()) {
        return Some("its target is empty or has a NUL");
    }
    if entry.kind != Kind::File && entry.size != 0 {
        return Some("it has a size but is no file");
    }
    if entry.kind == Kind::File && entry.path.ends_with(b"/") {
        return Some("its name ends in a slash but it is no directory");
    }
    if entry.device.0.max(entry.device.1) > 0o7_777_777 {
        return Some("its device number is too large");
    }
    let keys = entry.xattrs.iter().map(|(name, _)| name);
    if keys.clone().any(|name| name.is_empty() || name.contains(&b'=') || name.contains(&0)) {
        return Some("the name of an extended attribute is not valid");
    }
    None
}

fn fill(block: &mut Block, entry: &Entry, records: &mut Vec<u8>) {
    if !name(block, &entry.path) {
        record(records, b"path", &entry.path);
    }
    octal(&mut block[100..108], u64::from(entry.mode & 0o7777));
    number(&mut block[108..116], u64::from(entry.uid), b"uid", records);
    number(&mut block[116..124], u64::from(entry.gid), b"gid", records);
    number(&mut block[124..136], entry.size, b"size", records);
    modified(block, entry, records);
    block[156] = match entry.kind {
        Kind::File => b'0',
        Kind::Hardlink => b'1',
        Kind::Symlink => b'2',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    };
    if matches!(entry.kind, Kind::Symlink | Kind::Hardlink) {
        let fits = entry.link.len() <= 100;
        let length = entry.link.len().min(100);
        block[157..157 + length].copy_from_slice(&entry.link[..length]);
        if !fits {
            record(records, b"linkpath", &entry.link);
        }
    }
    block[257..265].copy_from_slice(b"ustar\x0000");
    device(&mut block[329..337], entry.device.0);
    device(&mut block[337..345], entry.device.1);
    if let Some((seconds, nanos)) = entry.accessed {
        record(records, b"atime", time(seconds, nanos).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        record(records, &[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    seal(block);
}

/// Puts the name into the header, cut off when it does not fit; says whether it does.
///
/// A name past 100 bytes would fit when it can be split at a slash; PAX is as good and every reader agrees.
fn name(block: &mut Block, path: &[u8]) -> bool {
    let length = path.len().min(100);
    block[..length].copy_from_slice(&path[..length]);
    path.len() <= 100
}

fn modified(block: &mut Block, entry: &Entry, records: &mut Vec<u8>) {
    const LARGEST: i64 = 0o77_777_777_777;
    let (seconds, nanos) = entry.modified;
    octal(&mut block[136..148], u64::try_from(seconds.clamp(0, LARGEST)).unwrap_or_default());
    if nanos != 0 || !(0..=LARGEST).contains(&seconds) {
        record(records, b"mtime", time(seconds, nanos).as_bytes());
    }
}

/// Seconds with a fraction, without zeros at its end.
fn time(seconds: i64, nanos: u32) -> String {
    if nanos == 0 {
        return seconds.to_string();
    }
    // -2 s and 0.75 of the next is -1.25.
    let (sign, whole, fraction) = if seconds < 0 {
        ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanos)
    } else {
        ("", seconds.unsigned_abs(), nanos)
    };
    let text = format!("{sign}{whole}.{fraction:09}");
    text.trim_end_matches('0').to_owned()
}

/// A number, or 0 and a record when it does not fit.
fn number(field: &mut [u8], value: u64, key: &[u8], records: &mut Vec<u8>) {
    let digits = u32::try_from(field.len() - 1).unwrap_or_default();
    let fits = value < 1 << (3 * digits);
    octal(field, if fits { value } else { 0 });
    if !fits {
        record(records, key, value.to_string().as_bytes());
    }
}

/// Linux has 12 bits of major and 20 of minor numbers; seven digits hold both.
fn device(field: &mut [u8], value: u32) {
    octal(field, u64::from(value));
}

/// Zero-filled octal digits and a NUL. What does not fit (no caller has it) loses its upper digits.
fn octal(field: &mut [u8], mut value: u64) {
    let last = field.len() - 1;
    for digit in field[..last].iter_mut().rev() {
        *digit = b'0' + u8::try_from(value & 7).unwrap_or_default();
        value >>= 3;
    }
    field[last] = 0;
}

fn seal(block: &mut Block) {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    octal(&mut block[148..155], sum);
}

fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // The length counts its own digits.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests;
