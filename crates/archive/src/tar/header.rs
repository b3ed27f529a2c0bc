//! One header block, in the dialect that it says it is.
//!
//! ```text
//! offset  0 name 100    100 mode 8    108 uid 8     116 gid 8       124 size 12   136 mtime 12
//!       148 checksum 8  156 type 1    157 link 100  257 magic 6     263 version 2
//!       265 owner 32    297 group 32  329 major 8   337 minor 8     345 prefix 155
//! GNU:  345 atime 12    357 ctime 12  369 offset 12 386 sparse 4×24 482 more 1      483 real size 12
//! ```

use super::Block;
use super::error::Problem;
use super::field::{number, unsigned};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Before POSIX: no magic, no prefix.
    V7,
    /// POSIX; PAX archives too.
    Ustar,
    /// `ustar  `, with what POSIX calls the prefix used for other things.
    Gnu,
}

/// A view of a header whose checksum is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<'a> {
    block: &'a Block,
    pub(super) dialect: Dialect,
}

impl<'a> Header<'a> {
    pub(super) fn read(block: &'a Block) -> Result<Header<'a>, Problem> {
        verify_checksum(block)?;
        let dialect = match &block[257..263] {
            b"ustar\0" => Dialect::Ustar,
            b"ustar " => Dialect::Gnu,
            _ => Dialect::V7,
        };
        let header = Header { block, dialect };
        header.refuse_ambiguous()?;
        Ok(header)
    }

    /// What some readers take for one thing and others for another.
    fn refuse_ambiguous(&self) -> Result<(), Problem> {
        let blank = |range: std::ops::Range<usize>| self.block[range].iter().all(|&byte| byte == 0);
        match self.dialect {
            Dialect::V7 => {
                if self.block[257..262] == *b"ustar" {
                    return Err(Problem::Ambiguous("half a ustar magic"));
                }
                if !blank(345..500) {
                    return Err(Problem::Ambiguous("a name's prefix without the magic of ustar"));
                }
            }
            Dialect::Gnu => {
                if self.block[263..265] != *b" \0" {
                    return Err(Problem::Ambiguous("half a GNU magic"));
                }
                // Old Go wrote a prefix here, Python reads one; GNU has times here, in backups only.
                if !blank(345..381) && self.kind() != b'S' {
                    return Err(Problem::Ambiguous("access times or a prefix under GNU's magic"));
                }
            }
            Dialect::Ustar => {
                // star has times in the prefix's last 24 bytes.
                if self.block[508..512] == *b"tar\0" && !self.block[345..476].contains(&0) {
                    return Err(Problem::Ambiguous("a prefix that runs into star's times"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn kind(&self) -> u8 {
        self.block[156]
    }

    /// Appends prefix and name.
    pub(super) fn name(&self, path: &mut Vec<u8>) {
        if self.dialect == Dialect::Ustar {
            let prefix = text(&self.block[345..500]);
            if !prefix.is_empty() {
                path.extend_from_slice(prefix);
                path.push(b'/');
            }
        }
        path.extend_from_slice(text(&self.block[..100]));
    }

    pub(super) fn link(&self) -> &'a [u8] {
        text(&self.block[157..257])
    }

    pub(super) fn size(&self) -> Result<Option<u64>, Problem> {
        unsigned(&self.block[124..136], "size")
    }

    pub(super) fn mode(&self) -> Result<u32, Problem> {
        let mode = unsigned(&self.block[100..108], "mode")?.unwrap_or_default();
        // Some writers put the type of the file into the upper bits.
        Ok(u32::try_from(mode & 0o7777).unwrap_or_default())
    }

    pub(super) fn uid(&self) -> Result<Option<u64>, Problem> {
        unsigned(&self.block[108..116], "user id")
    }

    pub(super) fn gid(&self) -> Result<Option<u64>, Problem> {
        unsigned(&self.block[116..124], "group id")
    }

    pub(super) fn modified(&self) -> Result<i64, Problem> {
        Ok(number(&self.block[136..148], "modification time")?.unwrap_or_default())
    }

    pub(super) fn device(&self) -> Result<(u32, u32), Problem> {
        let part = |range, what| -> Result<u32, Problem> {
            let value = unsigned(&self.block[range], what)?.unwrap_or_default();
            u32::try_from(value).map_err(|_| Problem::TooLarge(what))
        };
        Ok((part(329..337, "major device number")?, part(337..345, "minor device number")?))
    }

    /// Refuses a header with junk in any number: some readers look at all of them, whatever the type.
    pub(super) fn check_numbers(&self) -> Result<(), Problem> {
        self.mode()?;
        self.uid()?;
        self.gid()?;
        self.modified()?;
        self.device()?;
        Ok(())
    }

    /// The four sparse pieces of GNU's old form, whether blocks with more follow, and the file's size.
    pub(super) fn sparse(&self) -> Result<(&'a [u8], bool, u64), Problem> {
        let real = unsigned(&self.block[483..495], "real size")?.ok_or(Problem::Number("real size"))?;
        Ok((&self.block[386..482], self.block[482] != 0, real))
    }
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// The checksum is the sum of all bytes with those of the checksum itself as spaces. Old systems summed
/// signed bytes; every reader takes both.
fn verify_checksum(block: &Block) -> Result<(), Problem> {
    let stated = match block[148] {
        // Readers go different ways after a NUL in front.
        0 => None,
        _ => number(&block[148..156], "checksum").ok().flatten(),
    };
    let blanks = 8 * i64::from(b' ');
    let own: u32 = block[148..156].iter().map(|&byte| u32::from(byte)).sum();
    let all: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    if stated == Some(i64::from(all - own) + blanks) {
        return Ok(());
    }
    let signed = |bytes: &[u8]| bytes.iter().map(|&byte| i64::from(byte.cast_signed())).sum::<i64>();
    let sum = signed(&block[..148]) + signed(&block[156..]) + blanks;
    if stated == Some(sum) { Ok(()) } else { Err(Problem::Checksum) }
}
