//! Gzip's framing around deflate (RFC 1952): a header, then what `inflate` reads: a deflate stream, CRC and length.

use super::decoder::{Fault, Progress, Source};
use super::inflate::Inflate;
use flate2::Crc;
use std::io::{self, BufRead};

/// Bytes of each optional field of a header. Names of files are the longest in use.
const FIELD: usize = 64 << 10;

const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// The decoder of one member after the other.
#[derive(Debug, Default)]
pub(super) struct Gzip {
    inflate: Inflate,
}

impl Gzip {
    /// Reads a member's header.
    pub(super) fn begin<R: BufRead>(&mut self, source: &mut Source<R>) -> io::Result<()> {
        let start = source.offset;
        let mut header = source.take::<2>()?.to_vec();
        if header != [0x1f, 0x8b] {
            return Err(source.no_magic(start));
        }
        let fixed = source.take::<8>()?;
        header.extend_from_slice(&fixed);
        let [method, flags, ..] = fixed;
        if method != 8 || flags & 0xe0 != 0 {
            return Err(source.damaged("its header asks for something unknown"));
        }
        if flags & EXTRA != 0 {
            let length = source.take::<2>()?;
            header.extend_from_slice(&length);
            for _ in 0..u16::from_le_bytes(length) {
                header.extend_from_slice(&source.take::<1>()?);
            }
        }
        for text in [NAME, COMMENT] {
            if flags & text != 0 {
                read_text(source, &mut header)?;
            }
        }
        if flags & HEADER_CRC != 0 {
            let mut crc = Crc::new();
            crc.update(&header);
            let [low, high, ..] = crc.sum().to_le_bytes();
            if source.take::<2>()? != [low, high] {
                return Err(source.damaged("the checksum of its header is wrong"));
            }
        }
        self.inflate.reset();
        Ok(())
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Fault> {
        self.inflate.step(input, output)
    }
}

/// Reads a field up to its NUL.
fn read_text<R: BufRead>(source: &mut Source<R>, header: &mut Vec<u8>) -> io::Result<()> {
    for _ in 0..FIELD {
        let [byte] = source.take::<1>()?;
        header.push(byte);
        if byte == 0 {
            return Ok(());
        }
    }
    Err(source.damaged("a name in its header does not end"))
}
