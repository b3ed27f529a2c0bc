//! Maps of sparse files: which pieces of the file are stored, one after the other.

use super::BLOCK;
use super::error::Problem;
use super::field::{decimal, unsigned};
use super::pax::SparseRecords;
use crate::limits::Limits;

/// (offset, length) of each piece.
pub(super) type Map = Vec<(u64, u64)>;

/// Adds GNU's old form: pairs of 12-byte numbers up to the first that is blank.
///
/// Says whether a blank pair was among them. A filled one after it is where readers part ways.
pub(super) fn push_old(map: &mut Map, pairs: &[u8], limits: &Limits) -> Result<bool, Problem> {
    let mut ended = false;
    for pair in pairs.chunks_exact(24) {
        let offset = unsigned(&pair[..12], "offset of a sparse piece")?;
        let length = unsigned(&pair[12..], "length of a sparse piece")?;
        match (offset, length) {
            (Some(offset), Some(length)) if !ended => push(map, offset, length, limits)?,
            (None, None) => ended = true,
            _ => return Err(Problem::Sparse("a piece is half there")),
        }
    }
    Ok(ended)
}

fn push(map: &mut Map, offset: u64, length: u64, limits: &Limits) -> Result<(), Problem> {
    if map.len() >= limits.sparse_pieces {
        return Err(Problem::Limit { what: "pieces in a sparse file", limit: limits.sparse_pieces as u64 });
    }
    map.push((offset, length));
    Ok(())
}

/// Where the map of a PAX archive's sparse file is.
#[derive(Debug)]
pub(super) enum Form {
    /// In the records: the map and the file's size.
    Records(Map, u64),
    /// At the start of the content; the file's size.
    Content(u64),
}

/// What the records say; an error when they say more than one thing.
pub(super) fn form(records: &SparseRecords, limits: &Limits) -> Result<Form, Problem> {
    let mixed = Problem::Sparse("records of several forms are mixed");
    match (records.major, records.minor) {
        (Some(1), Some(0)) => {
            let others = records.map.is_some() || !records.singles.is_empty();
            if others || records.size.is_some() || records.pieces_stated.is_some() {
                return Err(mixed);
            }
            let size = records.real_size.ok_or(Problem::Sparse("the file's size is missing"))?;
            if records.name.is_none() {
                return Err(Problem::Sparse("the file's name is missing"));
            }
            Ok(Form::Content(size))
        }
        (None, None) => {
            if records.real_size.is_some() {
                return Err(mixed);
            }
            let numbers = match (&records.map, records.singles.as_slice()) {
                (Some(map), []) => map,
                (None, singles) => {
                    if records.name.is_some() {
                        return Err(mixed);
                    }
                    singles
                }
                (Some(_), _) => return Err(mixed),
            };
            if !numbers.len().is_multiple_of(2) {
                return Err(Problem::Sparse("an offset has no length"));
            }
            let mut map = Map::new();
            for pair in numbers.chunks_exact(2) {
                push(&mut map, pair[0], pair[1], limits)?;
            }
            if records.pieces_stated != Some(map.len() as u64) {
                return Err(Problem::Sparse("the number of pieces is not the one stated"));
            }
            let size = records.size.ok_or(Problem::Sparse("the file's size is missing"))?;
            Ok(Form::Records(map, size))
        }
        _ => Err(Problem::Sparse("its form is unknown; GNU tar has 0.0, 0.1 and 1.0")),
    }
}

/// The map of form 1.0: decimal lines in as many blocks as they need, at the start of the content.
///
/// ```text
/// COUNT\n (OFFSET\n LENGTH\n)* zeros
/// ```
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    left: Option<u64>,
    offset: Option<u64>,
    map: Map,
}

impl Lines {
    /// Takes a block and gives the map with the last one.
    pub(super) fn block(&mut self, block: &[u8; BLOCK], limits: &Limits) -> Result<Option<Map>, Problem> {
        for (at, &byte) in block.iter().enumerate() {
            if byte != b'\n' {
                if self.line.len() == 20 {
                    return Err(Problem::Sparse("a number is too long"));
                }
                self.line.push(byte);
                continue;
            }
            let number = decimal(&self.line).ok_or(Problem::Sparse("a line is no number"))?;
            self.line.clear();
            self.number(number, limits)?;
            if self.left == Some(0) {
                if block[at + 1..].iter().any(|&byte| byte != 0) {
                    return Err(Problem::Sparse("there is something after its end"));
                }
                return Ok(Some(std::mem::take(&mut self.map)));
            }
        }
        Ok(None)
    }

    fn number(&mut self, number: u64, limits: &Limits) -> Result<(), Problem> {
        match (self.left, self.offset.take()) {
            (None, _) => self.left = Some(number),
            (Some(_), None) => self.offset = Some(number),
            (Some(left), Some(offset)) => {
                push(&mut self.map, offset, number, limits)?;
                self.left = Some(left - 1);
            }
        }
        Ok(())
    }
}

/// Checks that pieces ascend without overlap, end within the file and are all that is stored; drops empty
/// ones, with which writers mark the end.
pub(super) fn check(map: &mut Map, size: u64, stored: u64) -> Result<(), Problem> {
    let mut end = 0u64;
    let mut sum = 0u64;
    for &(offset, length) in map.iter() {
        if offset < end {
            return Err(Problem::Sparse("pieces overlap or are out of order"));
        }
        end = offset
            .checked_add(length)
            .filter(|&end| end <= size)
            .ok_or(Problem::Sparse("a piece is past the end of the file"))?;
        sum += length;
    }
    if sum != stored {
        return Err(Problem::Sparse("the pieces are not as long as what is stored"));
    }
    map.retain(|&(_, length)| length != 0);
    Ok(())
}
