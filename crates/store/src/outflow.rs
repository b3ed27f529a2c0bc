//! Bytes on their way to a blob: collected, and written past the page cache where the kernel can do that.
//!
//! A compressed layer is not read again soon. With `RWF_DONTCACHE` (Linux 6.14) its pages go to the disk at once and
//! are given back when they are there, so the sync at the end finds nothing of them, and the memory stays with those
//! who use it. Measured with 500 MB on an ext4 on a loop device: on the disk after 1.6 s instead of 3.1 s, for two
//! thirds of the processor time.

use std::{
    fs::File,
    io::{self, IoSlice},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::io::{Errno, ReadWriteFlags};

/// So much is written at once: small pieces would each be a request to the disk.
const AT_ONCE: usize = 512 << 10;
/// `RWF_DONTCACHE` of `linux/fs.h`.
const DONT_CACHE: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x80);

/// The kernel, or a file system, does not know it.
static UNKNOWN: AtomicBool = AtomicBool::new(false);

/// The end of a file that is being written. Dropped, it writes what it has: the next attempt goes on from there.
#[derive(Debug)]
pub(crate) struct Outflow {
    file: File,
    /// Where the next byte goes.
    end: u64,
    buffer: Vec<u8>,
}

impl Outflow {
    /// Writes to `file` from `end` on.
    pub(crate) fn new(file: File, end: u64) -> Self {
        Self { file, end, buffer: Vec::new() }
    }

    /// Takes a piece, and writes what has been collected if that is much.
    pub(crate) fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() < AT_ONCE {
            return Ok(());
        }
        self.write_all(!UNKNOWN.load(Ordering::Relaxed))
    }

    /// Writes what is left. Little goes through the cache: somebody will read it, or its neighbours are there.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.write_all(false)
    }

    /// The file, with everything in it.
    pub(crate) fn finish(mut self) -> io::Result<File> {
        self.flush()?;
        self.file.try_clone()
    }

    /// Nobody wants what is left.
    pub(crate) fn forget(&mut self) {
        self.buffer.clear();
    }

    fn write_all(&mut self, mut past: bool) -> io::Result<()> {
        let mut written = 0;
        while written < self.buffer.len() {
            let flags = if past { DONT_CACHE } else { ReadWriteFlags::empty() };
            let rest = [IoSlice::new(&self.buffer[written..])];
            match rustix::io::pwritev2(&self.file, &rest, self.end, flags) {
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) if past => {
                    UNKNOWN.store(true, Ordering::Relaxed);
                    past = false;
                }
                Err(error) => {
                    self.buffer.drain(..written);
                    return Err(error.into());
                }
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written += count;
                    self.end += count as u64;
                }
            }
        }
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for Outflow {
    fn drop(&mut self) {
        // What cannot be written is fetched again.
        self.flush().ok();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{AT_ONCE, Outflow};

    #[test]
    fn pieces_of_any_size_come_to_lie_behind_each_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        fs::write(&path, b"before").expect("written");
        let file = fs::File::options().write(true).open(&path).expect("a file");
        let mut outflow = Outflow::new(file, 6);
        let mut expected = b"before".to_vec();
        for (length, byte) in
            [(1, 1_u8), (AT_ONCE, 2), (AT_ONCE - 1, 3), (1, 4), (3 * AT_ONCE + 5, 5), (0, 6), (9, 7)]
        {
            let piece = vec![byte; length];
            outflow.push(&piece).expect("taken");
            expected.extend(piece);
        }
        outflow.finish().expect("written");
        assert!(fs::read(&path).expect("read") == expected);
    }
}
