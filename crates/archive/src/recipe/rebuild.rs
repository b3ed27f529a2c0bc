use super::{BYTES, END, FILE, LITERAL, MAGIC};
use crate::apply::name::clean;
use crate::limits::Limits;
use longshore_sys::resolve;
use longshore_types::Kind;
use rustix::fs::OFlags;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

/// Why the tar was not made again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("read the recipe of a layer")]
    Recipe(#[source] io::Error),
    #[error("the recipe of a layer is damaged: {0}")]
    Damaged(&'static str),
    #[error("read {path} of an applied layer")]
    File { path: String, source: io::Error },
    #[error("{path} of an applied layer is not what it was: it is no file, or shorter")]
    Changed { path: String },
    #[error("write the archive of a layer")]
    Write(#[source] io::Error),
}

impl RebuildError {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            RebuildError::Changed { .. } => Kind::Conflict,
            RebuildError::Write(error) if error.kind() == io::ErrorKind::StorageFull => {
                Kind::ResourceExhausted
            }
            _ => Kind::Internal,
        }
    }
}

/// Makes the tar of a layer again from its recipe and the directory that it was applied to. Returns the
/// bytes written, of which the caller compares the digest.
pub fn rebuild(recipe: impl Read, root: BorrowedFd<'_>, out: &mut impl Write) -> Result<u64, RebuildError> {
    let unpacked = zstd::Decoder::new(recipe).map_err(RebuildError::Recipe)?;
    let mut items = Items { source: BufReader::with_capacity(LITERAL, unpacked) };
    if items.bytes(MAGIC.len())? != MAGIC {
        return Err(RebuildError::Damaged("it is of another version"));
    }
    let mut files = Files { root, last: None, buffer: vec![0; 256 << 10] };
    let mut length = 0;
    loop {
        match items.byte()? {
            END => break,
            BYTES => {
                let literal = items.short(LITERAL)?;
                out.write_all(&literal).map_err(RebuildError::Write)?;
                length += literal.len() as u64;
            }
            FILE => {
                let path = items.short(Limits::default().path_bytes.max(LITERAL))?;
                let (offset, wanted) = (items.number()?, items.number()?);
                files.copy(&path, offset, wanted, out)?;
                length += wanted;
            }
            _ => return Err(RebuildError::Damaged("an item is unknown")),
        }
    }
    if items.number()? != length {
        return Err(RebuildError::Damaged("its length is another"));
    }
    out.flush().map_err(RebuildError::Write)?;
    Ok(length)
}

struct Items<R> {
    source: R,
}

impl<R: Read> Items<R> {
    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, RebuildError> {
        let mut bytes = vec![0; length];
        self.source.read_exact(&mut bytes).map_err(RebuildError::Recipe)?;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, RebuildError> {
        let mut byte = [0];
        self.source.read_exact(&mut byte).map_err(RebuildError::Recipe)?;
        Ok(byte[0])
    }

    fn number(&mut self) -> Result<u64, RebuildError> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RebuildError::Damaged("a number is too long"))
    }

    /// Bytes behind their length.
    fn short(&mut self, limit: usize) -> Result<Vec<u8>, RebuildError> {
        let length = usize::try_from(self.number()?).ok().filter(|&length| length <= limit);
        self.bytes(length.ok_or(RebuildError::Damaged("an item is too long"))?)
    }
}

/// The files of the layer; that of the piece before stays open.
struct Files<'a> {
    root: BorrowedFd<'a>,
    last: Option<(Vec<u8>, File)>,
    buffer: Vec<u8>,
}

impl Files<'_> {
    fn copy(
        &mut self,
        path: &[u8],
        mut offset: u64,
        mut left: u64,
        out: &mut impl Write,
    ) -> Result<(), RebuildError> {
        let shown = || path.escape_ascii().to_string();
        let file = match self.last.take().filter(|(last, _)| last == path) {
            Some((_, file)) => file,
            None => open(self.root, path)?,
        };
        while left > 0 {
            let wanted = usize::try_from(left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
            let length = match file.read_at(&mut self.buffer[..wanted], offset) {
                Ok(0) => return Err(RebuildError::Changed { path: shown() }),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(RebuildError::File { path: shown(), source }),
            };
            out.write_all(&self.buffer[..length]).map_err(RebuildError::Write)?;
            offset += length as u64;
            left -= length as u64;
        }
        self.last = Some((path.to_vec(), file));
        Ok(())
    }
}

fn open(root: BorrowedFd<'_>, path: &[u8]) -> Result<File, RebuildError> {
    let shown = || path.escape_ascii().to_string();
    let mut cleaned = Vec::new();
    clean(path, &mut cleaned);
    let name = CString::new(cleaned).map_err(|_| RebuildError::Damaged("a path has a NUL"))?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let how = resolve::how::IN_ROOT | resolve::how::NO_MAGICLINKS;
    let fd = resolve::open(root, &name, flags.bits().cast_signed(), how)
        .map_err(|source| RebuildError::File { path: shown(), source })?;
    let file = File::from(fd);
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(RebuildError::Changed { path: shown() }),
        Err(source) => Err(RebuildError::File { path: shown(), source }),
    }
}
