use super::Compression;
use super::blocks::Blocks;
use std::fmt;
use std::io::{self, Write};

/// Writes a compressed stream. The same input gives the same bytes, however many processors there are.
pub struct Encoder<W: Write> {
    codec: Codec<W>,
}

enum Codec<W: Write> {
    None(W),
    Gzip(Blocks<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> fmt::Debug for Encoder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoder")
    }
}

impl<W: Write> Encoder<W> {
    /// Writes to `out`. Without a level, one that is fast: 4 of gzip's 9 (4 % larger than 6, which takes
    /// 1.4 times as long), 3 of zstd's 19. Only gzip and zstd are written: other readers of layers know no
    /// more.
    pub fn new(out: W, compression: Compression, level: Option<u32>) -> io::Result<Encoder<W>> {
        let codec = match compression {
            Compression::None => Codec::None(out),
            Compression::Gzip => Codec::Gzip(Blocks::new(out, level.unwrap_or(4).min(9))?),
            Compression::Zstd => {
                let level = i32::try_from(level.unwrap_or(3).min(19)).unwrap_or(3);
                let mut encoder = zstd::Encoder::new(out, level)?;
                encoder.include_checksum(true)?;
                Codec::Zstd(encoder)
            }
            Compression::Bzip2 | Compression::Xz => {
                let what = format!("layers are not written as {compression}: choose gzip or zstd");
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        };
        Ok(Encoder { codec })
    }

    /// Ends the stream and gives `out` back, flushed.
    pub fn finish(self) -> io::Result<W> {
        let mut out = match self.codec {
            Codec::None(out) => out,
            Codec::Gzip(blocks) => blocks.finish()?,
            Codec::Zstd(encoder) => encoder.finish()?,
        };
        out.flush()?;
        Ok(out)
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.codec {
            Codec::None(out) => out.write(bytes),
            Codec::Gzip(blocks) => blocks.write(bytes),
            Codec::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Flushes what is compressed; nothing is compressed worse for it.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.codec {
            Codec::None(out) => out.flush(),
            Codec::Gzip(blocks) => blocks.flush(),
            Codec::Zstd(encoder) => encoder.get_mut().flush(),
        }
    }
}
