//! Gzip in blocks of 1 MiB, compressed each by itself, several at a time.
//!
//! A block ends at a byte (deflate's sync flush), so that blocks are put one after the other; an empty last
//! block ends the stream. Forgetting what was before costs less than 1 %. Threads begin with the second block,
//! and end with the encoder; block n goes to thread n modulo their number, so results come in order.

use flate2::{Compress, Compression as Level, Crc, FlushCompress};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

const BLOCK: usize = 1 << 20;
/// Each thread keeps about 3 MiB.
const THREADS: usize = 4;

/// Magic, deflate, no flags, no time, unknown system: what Go writes.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// An empty last block.
const LAST: [u8; 2] = [3, 0];

struct Packed {
    data: Vec<u8>,
    crc: Crc,
}

struct Worker {
    input: SyncSender<Vec<u8>>,
    output: Receiver<io::Result<Packed>>,
}

pub(super) struct Blocks<W> {
    out: W,
    level: u32,
    crc: Crc,
    block: Vec<u8>,
    workers: Vec<Worker>,
    /// Blocks given to workers, and results taken.
    given: usize,
    taken: usize,
}

fn pack(block: &[u8], level: u32) -> io::Result<Packed> {
    let mut stream = Compress::new(Level::new(level), false);
    let mut data = Vec::with_capacity(block.len() / 2 + 64);
    loop {
        let used = usize::try_from(stream.total_in()).unwrap_or_default();
        stream.compress_vec(&block[used..], &mut data, FlushCompress::Sync).map_err(io::Error::other)?;
        // Room left over is how deflate says that the flush is complete.
        if data.len() < data.capacity() {
            break;
        }
        data.reserve(block.len() / 4 + 64);
    }
    let mut crc = Crc::new();
    crc.update(block);
    Ok(Packed { data, crc })
}

fn worker(level: u32) -> io::Result<Worker> {
    let (input, blocks) = sync_channel::<Vec<u8>>(1);
    let (results, output) = sync_channel(1);
    thread::Builder::new().name("gzip".to_owned()).spawn(move || {
        // Ends when the encoder is gone.
        while let Ok(block) = blocks.recv() {
            if results.send(pack(&block, level)).is_err() {
                break;
            }
        }
    })?;
    Ok(Worker { input, output })
}

impl<W: Write> Blocks<W> {
    pub(super) fn new(mut out: W, level: u32) -> io::Result<Blocks<W>> {
        out.write_all(&HEADER)?;
        Ok(Blocks { out, level, crc: Crc::new(), block: Vec::new(), workers: Vec::new(), given: 0, taken: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let used = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..used]);
        if self.block.len() == BLOCK {
            self.give()?;
        }
        Ok(used)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Gives the block to its worker.
    fn give(&mut self) -> io::Result<()> {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        if self.workers.is_empty() {
            let count = thread::available_parallelism().map_or(1, |count| count.get().min(THREADS));
            self.workers = (0..count).map(|_| worker(self.level)).collect::<io::Result<_>>()?;
        }
        if self.given - self.taken == self.workers.len() {
            self.take()?;
        }
        let worker = &self.workers[self.given % self.workers.len()];
        worker.input.send(block).map_err(|_| gone())?;
        self.given += 1;
        Ok(())
    }

    /// Writes the oldest result.
    fn take(&mut self) -> io::Result<()> {
        let packed = self.workers[self.taken % self.workers.len()].output.recv().map_err(|_| gone())??;
        self.taken += 1;
        self.put(&packed)
    }

    fn put(&mut self, packed: &Packed) -> io::Result<()> {
        self.crc.combine(&packed.crc);
        self.out.write_all(&packed.data)
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        while self.taken < self.given {
            self.take()?;
        }
        if !self.block.is_empty() {
            let packed = pack(&self.block, self.level)?;
            self.put(&packed)?;
        }
        self.out.write_all(&LAST)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }
}

fn gone() -> io::Error {
    io::Error::other("a thread that compresses ended")
}
