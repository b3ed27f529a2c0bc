//! Records of PAX extended headers: `LENGTH KEY=VALUE\n`, the length counting itself.

use super::error::Problem;
use super::field::{decimal, time};
use crate::limits::Limits;
use std::collections::HashSet;

/// What the extended headers of one entry say.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<(i64, u32)>,
    pub(super) accessed: Option<(i64, u32)>,
    pub(super) device: (Option<u64>, Option<u64>),
    /// star's word for the size of a sparse file; must not contradict.
    pub(super) star_real_size: Option<u64>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: SparseRecords,
}

/// GNU's three ways to describe a sparse file in PAX records.
#[derive(Debug, Default)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    /// Form 0.1 and 1.0.
    pub(super) name: Option<Vec<u8>>,
    /// Form 0.0 and 0.1.
    pub(super) size: Option<u64>,
    pub(super) pieces_stated: Option<u64>,
    /// Form 1.0.
    pub(super) real_size: Option<u64>,
    /// Form 0.1: `offset,length,offset,length…`; form 0.0 is a record for each number.
    pub(super) map: Option<Vec<u64>>,
    pub(super) singles: Vec<u64>,
}

impl SparseRecords {
    pub(super) fn any(&self) -> bool {
        self.major.is_some()
            || self.minor.is_some()
            || self.name.is_some()
            || self.size.is_some()
            || self.pieces_stated.is_some()
            || self.real_size.is_some()
            || self.map.is_some()
            || !self.singles.is_empty()
    }
}

const XATTR: &[u8] = b"SCHILY.xattr.";

/// Calls back with each key and value. An error is where the malformed record begins.
fn each<'a>(
    mut data: &'a [u8],
    mut found: impl FnMut(&'a [u8], &'a [u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let whole = data.len();
    while !data.is_empty() {
        let malformed = Problem::Record(whole - data.len());
        let Some((key, value, rest)) = split(data) else { return Err(malformed) };
        found(key, value)?;
        data = rest;
    }
    Ok(())
}

/// The first record's key and value, and what follows it.
fn split(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    // Twenty digits hold any length.
    let space = data.iter().take(21).position(|&byte| byte == b' ')?;
    if data[0] == b'0' {
        return None;
    }
    let length = usize::try_from(decimal(&data[..space])?).ok()?;
    if length <= space + 1 || length > data.len() {
        return None;
    }
    let (record, rest) = data.split_at(length);
    let record = record[space + 1..].strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty() && !key.contains(&0)).then_some((key, value, rest))
}

fn shown(key: &[u8]) -> String {
    key[..key.len().min(100)].escape_ascii().to_string()
}

/// Reads the records of one entry.
pub(super) fn read(data: &[u8], limits: &Limits) -> Result<Records, Problem> {
    let mut records = Records::default();
    let mut seen = HashSet::new();
    each(data, |key, value| {
        let repeats = key == b"GNU.sparse.offset" || key == b"GNU.sparse.numbytes";
        if !repeats && !seen.insert(key) {
            return Err(Problem::DuplicateRecord(shown(key)));
        }
        records.take(key, value, limits)
    })?;
    Ok(records)
}

/// Checks a global header. Go's reader applies it to nothing, others to all that follows: only what has no
/// effect is taken.
pub(super) fn check_global(data: &[u8], limits: &Limits) -> Result<(), Problem> {
    each(data, |key, value| {
        let mut records = Records::default();
        let known = records.take(key, value, limits).map(|()| records.has_effect());
        // Even an invalid or empty value of a known key is one that some reader acts on.
        if known != Ok(false) { Err(Problem::GlobalRecord(shown(key))) } else { Ok(()) }
    })
}

impl Records {
    fn has_effect(&self) -> bool {
        self.path.is_some()
            || self.link.is_some()
            || self.size.is_some()
            || self.uid.is_some()
            || self.gid.is_some()
            || self.modified.is_some()
            || self.accessed.is_some()
            || self.device.0.is_some()
            || self.device.1.is_some()
            || self.star_real_size.is_some()
            || !self.xattrs.is_empty()
            || self.sparse.any()
    }

    fn take(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<(), Problem> {
        let invalid = || Problem::RecordValue(shown(key));
        let number = || decimal(value).ok_or_else(invalid);
        let name = || {
            let sound = !value.is_empty() && !value.contains(&0);
            sound.then(|| value.to_vec()).ok_or_else(invalid)
        };
        let instant = || time(value).ok_or_else(invalid);
        match key {
            b"path" => self.path = Some(name()?),
            b"linkpath" => self.link = Some(name()?),
            b"size" => self.size = Some(number()?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => self.modified = Some(instant()?),
            b"atime" => self.accessed = Some(instant()?),
            b"ctime" => drop(instant()?),
            b"SCHILY.devmajor" => self.device.0 = Some(number()?),
            b"SCHILY.devminor" => self.device.1 = Some(number()?),
            b"SCHILY.realsize" => self.star_real_size = Some(number()?),
            _ if key.starts_with(XATTR) => self.xattr(&key[XATTR.len()..], value, limits)?,
            _ if key.starts_with(b"GNU.sparse.") => self.sparse(key, value, limits)?,
            _ if key.starts_with(b"GNU.volume.") => return Err(Problem::MultiVolume),
            // Names of users, comments, character sets, other attributes: of no effect on a layer.
            _ => {}
        }
        Ok(())
    }

    fn xattr(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Result<(), Problem> {
        if name.is_empty() {
            return Err(Problem::RecordValue(shown(XATTR)));
        }
        if self.xattrs.len() >= limits.xattrs {
            return Err(Problem::Limit { what: "extended attributes", limit: limits.xattrs as u64 });
        }
        if value.len() > limits.xattr_bytes {
            return Err(Problem::Limit {
                what: "bytes in an extended attribute",
                limit: limits.xattr_bytes as u64,
            });
        }
        self.xattrs.push((name.to_vec(), value.to_vec()));
        Ok(())
    }

    fn sparse(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<(), Problem> {
        let sparse = &mut self.sparse;
        let invalid = || Problem::RecordValue(shown(key));
        let number = || decimal(value).ok_or_else(invalid);
        match &key[b"GNU.sparse.".len()..] {
            b"major" => sparse.major = Some(number()?),
            b"minor" => sparse.minor = Some(number()?),
            b"size" => sparse.size = Some(number()?),
            b"realsize" => sparse.real_size = Some(number()?),
            b"numblocks" => sparse.pieces_stated = Some(number()?),
            b"name" if !value.is_empty() && !value.contains(&0) => sparse.name = Some(value.to_vec()),
            b"map" => {
                let numbers = value.split(|&byte| byte == b',');
                let map: Option<Vec<u64>> = numbers.take(limits.sparse_pieces * 2 + 1).map(decimal).collect();
                sparse.map = Some(map.ok_or_else(invalid)?);
            }
            // They come in pairs, the offset first.
            b"offset" if sparse.singles.len().is_multiple_of(2) => sparse.singles.push(number()?),
            b"numbytes" if !sparse.singles.len().is_multiple_of(2) => sparse.singles.push(number()?),
            _ => return Err(invalid()),
        }
        Ok(())
    }
}
