//! Which library inflates gzip layers. A pull is bound by the processor, and this is its largest part.
//!
//! CPU seconds for 352 MB of `/usr` as a tar (119 MB by `gzip -6`; `pigz` the same within 2 %), on an AMD
//! EPYC (Zen 4), release profile, 256 KiB at a time:
//!
//! | library | s | MB/s | |
//! |---|---|---|---|
//! | zlib-rs 0.6 | 0.68 | 517 | Rust; used where the feature `isa-l` is off |
//! | zlib-ng 2 | 0.59 | 600 | |
//! | **ISA-L 2.31** | 0.44 | 810 | used; CRC included |
//! | libdeflate 1 | 0.38 | 920 | wants the whole output in memory, so not for layers |
//!
//! Both inflate here one deflate stream and check the trailer of the gzip member behind it.

use super::decoder::{Fault, Progress};

#[cfg(feature = "isa-l")]
#[derive(Debug, Default)]
pub(super) struct Inflate(longshore_sys::inflate::Inflate);

#[cfg(feature = "isa-l")]
impl Inflate {
    pub(super) fn reset(&mut self) {
        self.0.reset();
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Fault> {
        let step = self.0.step(input, output).map_err(|what| Fault::Damaged(what.to_owned()))?;
        Ok(Progress { read: step.read, written: step.written, ended: step.ended })
    }
}

#[cfg(not(feature = "isa-l"))]
#[derive(Debug)]
pub(super) struct Inflate {
    stream: flate2::Decompress,
    crc: flate2::Crc,
    /// Once the deflate stream ended: what was read of the trailer.
    trailer: Option<Vec<u8>>,
}

#[cfg(not(feature = "isa-l"))]
impl Default for Inflate {
    fn default() -> Inflate {
        Inflate { stream: flate2::Decompress::new(false), crc: flate2::Crc::new(), trailer: None }
    }
}

#[cfg(not(feature = "isa-l"))]
impl Inflate {
    pub(super) fn reset(&mut self) {
        self.stream.reset(false);
        self.crc.reset();
        self.trailer = None;
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Fault> {
        if let Some(trailer) = &mut self.trailer {
            let read = input.len().min(8 - trailer.len());
            trailer.extend_from_slice(&input[..read]);
            let ended = trailer.len() == 8;
            let stated = [self.crc.sum().to_le_bytes(), self.crc.amount().to_le_bytes()].concat();
            if ended && *trailer != stated {
                return Err(Fault::Damaged("the checksum or length of its content is wrong".to_owned()));
            }
            return Ok(Progress { read, written: 0, ended });
        }
        let before = (self.stream.total_in(), self.stream.total_out());
        let status = self
            .stream
            .decompress(input, output, flate2::FlushDecompress::None)
            .map_err(|error| Fault::Damaged(error.to_string()))?;
        let since = |now: u64, before: u64| usize::try_from(now - before).unwrap_or_default();
        let read = since(self.stream.total_in(), before.0);
        let written = since(self.stream.total_out(), before.1);
        self.crc.update(&output[..written]);
        if status == flate2::Status::StreamEnd {
            self.trailer = Some(Vec::with_capacity(8));
            if read == 0 && written == 0 {
                // Not a step by itself: go on with the trailer.
                return self.step(input, output);
            }
        }
        Ok(Progress { read, written, ended: false })
    }
}
