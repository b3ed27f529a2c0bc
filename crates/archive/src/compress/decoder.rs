use super::gzip::Gzip;
use super::streams::{Bzip2, Xz, Zstd};
use super::{Compression, Error};
use crate::limits::Limits;
use std::fmt;
use std::io::{self, BufRead, Read};

/// Reads a compressed stream.
pub struct Decoder<R> {
    source: Source<R>,
    compression: Compression,
    codec: Codec,
    limits: Limits,
    /// Bytes given out.
    written: u64,
    /// Within a member (or frame) of the stream.
    inside: bool,
    ended: bool,
}

impl<R> fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("compression", &self.compression).finish_non_exhaustive()
    }
}

/// What a codec did in one step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) read: usize,
    pub(super) written: usize,
    /// The member or frame is complete.
    pub(super) ended: bool,
}

/// Why a codec does not go on.
#[derive(Debug)]
pub(super) enum Fault {
    Damaged(String),
    /// It would take more memory than the limit.
    Memory,
}

enum Codec {
    None,
    Gzip(Box<Gzip>),
    Zstd(Zstd),
    Bzip2(Option<Bzip2>),
    Xz(Option<Xz>),
}

/// The compressed side, counted.
pub(super) struct Source<R> {
    inner: R,
    /// Bytes consumed.
    pub(super) offset: u64,
    compression: Compression,
}

impl<R: BufRead> Source<R> {
    /// What is there; empty at the end.
    pub(super) fn fill(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.inner.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.inner.fill_buf()
    }

    pub(super) fn consume(&mut self, length: usize) {
        self.inner.consume(length);
        self.offset += length as u64;
    }

    /// Bytes of a header or trailer.
    pub(super) fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        let mut at = 0;
        while at < N {
            let there = self.fill()?;
            if there.is_empty() {
                return Err(self.truncated());
            }
            let length = there.len().min(N - at);
            bytes[at..at + length].copy_from_slice(&there[..length]);
            self.consume(length);
            at += length;
        }
        Ok(bytes)
    }

    pub(super) fn truncated(&self) -> io::Error {
        Error::Truncated { compression: self.compression, offset: self.offset }.into()
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> io::Error {
        Error::Damaged { compression: self.compression, offset: self.offset, what: what.into() }.into()
    }

    /// A member does not begin as it should.
    pub(super) fn no_magic(&self, start: u64) -> io::Error {
        let compression = self.compression;
        if start == 0 {
            Error::Magic(compression).into()
        } else {
            Error::TrailingGarbage { compression, offset: start }.into()
        }
    }
}

impl<R: BufRead> Decoder<R> {
    /// Reads `source` as `compression`, from its first byte on.
    pub fn new(source: R, compression: Compression, limits: &Limits) -> io::Result<Decoder<R>> {
        let codec = match compression {
            Compression::None => Codec::None,
            Compression::Gzip => Codec::Gzip(Box::default()),
            Compression::Zstd => Codec::Zstd(Zstd::new(limits)?),
            Compression::Bzip2 => Codec::Bzip2(None),
            Compression::Xz => Codec::Xz(None),
        };
        Ok(Decoder {
            source: Source { inner: source, offset: 0, compression },
            compression,
            codec,
            limits: *limits,
            written: 0,
            inside: false,
            ended: false,
        })
    }

    /// Bytes of the compressed form that were read.
    pub fn read_compressed(&self) -> u64 {
        self.source.offset
    }

    /// The source behind.
    pub fn into_inner(self) -> R {
        self.source.inner
    }

    /// Begins the next member. False at the end of the stream.
    fn begin(&mut self) -> io::Result<bool> {
        let at_end = self.source.fill()?.is_empty();
        if at_end && self.source.offset > 0 {
            return Ok(false);
        }
        match &mut self.codec {
            Codec::None => return Ok(!at_end),
            Codec::Gzip(gzip) => gzip.begin(&mut self.source)?,
            Codec::Zstd(zstd) => return zstd.begin(&mut self.source, &self.limits),
            Codec::Bzip2(bzip2) => *bzip2 = Some(Bzip2::begin(&mut self.source)?),
            Codec::Xz(xz) => {
                *xz = Xz::begin(&mut self.source, &self.limits)?;
                return Ok(xz.is_some());
            }
        }
        Ok(true)
    }

    fn step(&mut self, output: &mut [u8]) -> io::Result<Progress> {
        let input = self.source.fill()?;
        let at_end = input.is_empty();
        let progress = match &mut self.codec {
            Codec::None => {
                let length = input.len().min(output.len());
                output[..length].copy_from_slice(&input[..length]);
                Ok(Progress { read: length, written: length, ended: at_end })
            }
            Codec::Gzip(gzip) => gzip.step(input, output),
            Codec::Zstd(zstd) => zstd.step(input, output),
            Codec::Bzip2(Some(bzip2)) => bzip2.step(input, output),
            Codec::Xz(Some(xz)) => xz.step(input, output),
            Codec::Bzip2(None) | Codec::Xz(None) => Ok(Progress { ended: true, ..Progress::default() }),
        };
        let progress = match progress {
            Ok(progress) => progress,
            Err(Fault::Damaged(what)) => return Err(self.source.damaged(what)),
            Err(Fault::Memory) => {
                let limit = self.limits.window_bytes;
                return Err(Error::Window { compression: self.compression, limit }.into());
            }
        };
        self.source.consume(progress.read);
        if !progress.ended && progress.read == 0 && progress.written == 0 {
            return Err(if at_end { self.source.truncated() } else { self.source.damaged("no progress") });
        }
        Ok(progress)
    }

    fn check_limits(&self) -> io::Result<()> {
        let limits = &self.limits;
        if self.written > limits.archive_bytes {
            return Err(Error::TooLong(limits.archive_bytes).into());
        }
        let compressed = self.source.offset;
        if self.written > limits.ratio_free_bytes && self.written / limits.ratio > compressed {
            return Err(Error::Ratio { compression: self.compression, ratio: limits.ratio }.into());
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if output.is_empty() {
            return Ok(0);
        }
        loop {
            if self.ended {
                return Ok(0);
            }
            if !self.inside {
                if !self.begin()? {
                    self.ended = true;
                    continue;
                }
                self.inside = true;
            }
            let progress = self.step(output)?;
            self.inside = !progress.ended;
            if progress.written > 0 {
                self.written += progress.written as u64;
                self.check_limits()?;
                return Ok(progress.written);
            }
        }
    }
}
