//! zstd, bzip2 and xz: the magic of each member is read here, the rest by the libraries.

use super::Error;
use super::decoder::{Fault, Progress, Source};
use crate::limits::Limits;
use std::io::{self, BufRead};
use zstd::stream::raw::{DParameter, Operation as _};

fn count(now: u64, before: u64) -> usize {
    usize::try_from(now - before).unwrap_or_default()
}

/// zstd (RFC 8878): frames, some of them without data.
pub(super) struct Zstd {
    context: zstd::stream::raw::Decoder<'static>,
    skipped: u64,
}

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

impl Zstd {
    pub(super) fn new(limits: &Limits) -> io::Result<Zstd> {
        let mut context = zstd::stream::raw::Decoder::new()?;
        // The library knows 10 to 31.
        let log = limits.window_bytes.checked_ilog2().unwrap_or_default().clamp(10, 31);
        context.set_parameter(DParameter::WindowLogMax(log))?;
        Ok(Zstd { context, skipped: 0 })
    }

    /// Goes to the next frame with data. False at the end of the stream.
    pub(super) fn begin<R: BufRead>(&mut self, source: &mut Source<R>, limits: &Limits) -> io::Result<bool> {
        loop {
            let start = source.offset;
            if start > 0 && source.fill()?.is_empty() {
                return Ok(false);
            }
            match source.take::<4>()? {
                ZSTD => break,
                [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                    let length = u64::from(u32::from_le_bytes(source.take::<4>()?));
                    self.skipped += length;
                    if self.skipped > limits.skippable_bytes {
                        return Err(Error::Skippable(limits.skippable_bytes).into());
                    }
                    skip(source, length)?;
                }
                _ => return Err(source.no_magic(start)),
            }
        }
        self.context.reinit()?;
        self.context.run_on_buffers(&ZSTD, &mut [0; 1])?;
        Ok(true)
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Fault> {
        let status = self.context.run_on_buffers(input, output).map_err(|error| {
            let what = error.to_string();
            if what.contains("too much memory") { Fault::Memory } else { Fault::Damaged(what) }
        })?;
        Ok(Progress { read: status.bytes_read, written: status.bytes_written, ended: status.remaining == 0 })
    }
}

fn skip<R: BufRead>(source: &mut Source<R>, mut length: u64) -> io::Result<()> {
    while length > 0 {
        let there = source.fill()?.len();
        if there == 0 {
            return Err(source.truncated());
        }
        let step = usize::try_from(length).map_or(there, |length| length.min(there));
        source.consume(step);
        length -= step as u64;
    }
    Ok(())
}

pub(super) struct Bzip2(bzip2::Decompress);

impl Bzip2 {
    pub(super) fn begin<R: BufRead>(source: &mut Source<R>) -> io::Result<Bzip2> {
        let start = source.offset;
        let magic = source.take::<3>()?;
        if magic != *b"BZh" {
            return Err(source.no_magic(start));
        }
        let mut context = bzip2::Decompress::new(false);
        match context.decompress(&magic, &mut [0; 1]) {
            Ok(_) => Ok(Bzip2(context)),
            Err(error) => Err(source.damaged(error.to_string())),
        }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Fault> {
        let before = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, output).map_err(|error| Fault::Damaged(error.to_string()))?;
        Ok(Progress {
            read: count(self.0.total_in(), before.0),
            written: count(self.0.total_out(), before.1),
            ended: status == bzip2::Status::StreamEnd,
        })
    }
}

/// xz: streams, with zeros between and after them in fours.
pub(super) struct Xz(liblzma::stream::Stream);

const XZ: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];

impl Xz {
    /// `None` at the end.
    pub(super) fn begin<R: BufRead>(source: &mut Source<R>, limits: &Limits) -> io::Result<Option<Xz>> {
        use liblzma::stream::{Action, Stream};
        let mut start = source.offset;
        let first = loop {
            let padding = source.take::<4>()?;
            if start == 0 || padding != [0; 4] {
                break padding;
            }
            if source.fill()?.is_empty() {
                return Ok(None);
            }
            start = source.offset;
        };
        let rest = source.take::<2>()?;
        if first != XZ[..4] || rest != XZ[4..] {
            return Err(source.no_magic(start));
        }
        let mut context = Stream::new_stream_decoder(limits.window_bytes, 0)
            .map_err(|error| source.damaged(error.to_string()))?;
        match context.process(&XZ, &mut [0; 1], Action::Run) {
            Ok(_) => Ok(Some(Xz(context))),
            Err(error) => Err(source.damaged(error.to_string())),
        }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Fault> {
        use liblzma::stream::{Action, Error, Status};
        let before = (self.0.total_in(), self.0.total_out());
        let status = self.0.process(input, output, Action::Run).map_err(|error| match error {
            Error::MemLimit => Fault::Memory,
            error => Fault::Damaged(error.to_string()),
        })?;
        Ok(Progress {
            read: count(self.0.total_in(), before.0),
            written: count(self.0.total_out(), before.1),
            ended: status == Status::StreamEnd,
        })
    }
}
