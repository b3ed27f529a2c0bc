//! From blocks to entries: extended headers are collected, then merged with the header that they belong to.
//!
//! Knows no I/O, so that the reader (which pulls) and the recorder (which watches a stream go by) share it.

use super::error::{Name, Problem};
use super::header::{Dialect, Header};
use super::pax::{self, Records};
use super::sparse::{self, Form, Lines, Map};
use super::{BLOCK, Block};
use crate::entry::{Entry, Kind};
use crate::limits::Limits;

/// What a block led to.
#[derive(Debug)]
pub(crate) enum Step {
    /// The next block is needed too.
    More,
    /// An entry is complete; so many bytes of content follow, padded to blocks.
    Entry(Entry, u64),
    /// The second of the two empty blocks at the end.
    End,
}

#[derive(Debug)]
enum State {
    Header,
    /// In the payload of an extended header.
    Payload {
        kind: u8,
        left: usize,
        data: Vec<u8>,
    },
    /// In the blocks that continue GNU's old sparse map.
    OldMap {
        entry: Entry,
        stored: u64,
        map: Map,
    },
    /// In the map at the start of the content.
    Lines {
        entry: Entry,
        stored: u64,
        lines: Lines,
    },
    /// After one empty block.
    Zero,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Assembler {
    limits: Limits,
    state: State,
    number: u64,
    name: Name,
    /// A global header was the last: some readers want an entry after it.
    global: bool,
    records: Option<Records>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl Assembler {
    pub(crate) fn new(limits: &Limits) -> Assembler {
        Assembler {
            limits: *limits,
            state: State::Header,
            number: 1,
            name: Name::default(),
            global: false,
            records: None,
            long_name: None,
            long_link: None,
        }
    }

    /// Number and name of the entry at hand.
    pub(crate) fn at(&self) -> (u64, Name) {
        (self.number, self.name.clone())
    }

    /// Whether the next block begins an entry, its extended headers included.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.state, State::Header | State::Zero) && !self.has_extensions()
    }

    fn has_extensions(&self) -> bool {
        self.global || self.records.is_some() || self.long_name.is_some() || self.long_link.is_some()
    }

    /// Whether the archive may end without another block. Readers agree that the empty blocks at the end may
    /// be missing.
    pub(crate) fn end_of_file(&self) -> Result<(), Problem> {
        match self.state {
            State::Header | State::Zero if self.has_extensions() => Err(Problem::Dangling),
            State::Header | State::Zero => Ok(()),
            _ => Err(Problem::Truncated),
        }
    }

    pub(crate) fn block(&mut self, block: &Block) -> Result<Step, Problem> {
        match std::mem::replace(&mut self.state, State::Header) {
            State::Header => self.header(block),
            State::Payload { kind, left, data } => self.payload(kind, left, data, block),
            State::OldMap { entry, stored, map } => self.old_map(entry, stored, map, block),
            State::Lines { entry, stored, lines } => self.lines(entry, stored, lines, block),
            State::Zero if is_zero(block) => Ok(Step::End),
            State::Zero => Err(Problem::LoneZeroBlock),
        }
    }

    fn header(&mut self, block: &Block) -> Result<Step, Problem> {
        if is_zero(block) {
            if self.has_extensions() {
                return Err(Problem::Dangling);
            }
            self.state = State::Zero;
            return Ok(Step::More);
        }
        let header = Header::read(block)?;
        match header.kind() {
            kind @ (b'x' | b'g' | b'L' | b'K') => self.extension(kind, &header),
            _ => self.entry(&header),
        }
    }

    fn extension(&mut self, kind: u8, header: &Header<'_>) -> Result<Step, Problem> {
        header.check_numbers()?;
        let twice = match kind {
            b'x' => self.records.is_some(),
            b'L' => self.long_name.is_some(),
            b'K' => self.long_link.is_some(),
            // Go's reader hands a global header out as an entry and forgets what came before it.
            _ => {
                if self.records.is_some() || self.long_name.is_some() || self.long_link.is_some() {
                    return Err(Problem::Dangling);
                }
                false
            }
        };
        if twice {
            return Err(Problem::DuplicateExtension);
        }
        let size = header.size()?.ok_or(Problem::Number("size"))?;
        let limit = self.limits.extension_bytes;
        let left = usize::try_from(size).ok().filter(|_| size <= limit);
        let left = left.ok_or(Problem::Limit { what: "bytes in an extended header", limit })?;
        self.payload_done_or_more(kind, left, Vec::with_capacity(left.min(4096)))
    }

    fn payload(&mut self, kind: u8, left: usize, mut data: Vec<u8>, block: &Block) -> Result<Step, Problem> {
        let used = left.min(BLOCK);
        data.extend_from_slice(&block[..used]);
        self.payload_done_or_more(kind, left - used, data)
    }

    fn payload_done_or_more(&mut self, kind: u8, left: usize, data: Vec<u8>) -> Result<Step, Problem> {
        if left > 0 {
            self.state = State::Payload { kind, left, data };
            return Ok(Step::More);
        }
        match kind {
            b'x' => {
                let records = pax::read(&data, &self.limits)?;
                if let Some(path) = &records.path {
                    self.name = Name::new(path);
                }
                self.records = Some(records);
            }
            b'g' => {
                pax::check_global(&data, &self.limits)?;
                self.global = true;
                self.count()?;
            }
            b'L' => {
                let name = long(data)?;
                self.name = Name::new(&name);
                self.long_name = Some(name);
            }
            _ => self.long_link = Some(long(data)?),
        }
        Ok(Step::More)
    }

    fn count(&mut self) -> Result<(), Problem> {
        if self.number > self.limits.entries {
            return Err(Problem::Limit { what: "entries", limit: self.limits.entries });
        }
        self.number += 1;
        Ok(())
    }

    /// Gives an entry out.
    fn done(&mut self, entry: Entry, stored: u64) -> Result<Step, Problem> {
        self.count()?;
        Ok(Step::Entry(entry, stored))
    }

    fn entry(&mut self, header: &Header<'_>) -> Result<Step, Problem> {
        header.check_numbers()?;
        self.global = false;
        let mut records = self.records.take().unwrap_or_default();
        let path = self.path(header, &mut records)?;
        self.name = Name::new(&path);
        self.check_name(&path, "bytes in a path")?;
        let kind = kind(header.kind(), &path)?;
        let stored = size(kind, header, &records)?;
        let link = self.link(kind, header, &mut records)?;
        let number = |record: Option<u64>, field: Result<Option<u64>, Problem>, what| {
            let value = record.or(field?).unwrap_or_default();
            u32::try_from(value).map_err(|_| Problem::TooLarge(what))
        };
        let modified = header.modified()?;
        let mut entry = Entry {
            kind,
            link,
            mode: header.mode()?,
            uid: number(records.uid, header.uid(), "user id")?,
            gid: number(records.gid, header.gid(), "group id")?,
            modified: records.modified.unwrap_or((modified, 0)),
            accessed: records.accessed,
            size: stored,
            device: device(kind, header, &records)?,
            xattrs: std::mem::take(&mut records.xattrs),
            sparse: None,
            path,
        };
        if header.kind() == b'S' {
            return self.old_sparse(entry, stored, header, &records);
        }
        if !records.sparse.any() {
            if records.star_real_size.is_some_and(|size| size != stored) {
                return Err(Problem::Ambiguous("a sparse file in star's form"));
            }
            self.check_size(stored)?;
            return self.done(entry, stored);
        }
        if kind != Kind::File || records.star_real_size.is_some() {
            return Err(Problem::Sparse("records of several forms are mixed"));
        }
        match sparse::form(&records.sparse, &self.limits)? {
            Form::Records(map, size) => {
                entry.size = size;
                self.sparse(entry, stored, map)
            }
            Form::Content(size) => {
                entry.size = size;
                self.state = State::Lines { entry, stored, lines: Lines::default() };
                Ok(Step::More)
            }
        }
    }

    fn path(&mut self, header: &Header<'_>, records: &mut Records) -> Result<Vec<u8>, Problem> {
        let long = self.long_name.take();
        let record = records.path.take();
        let sparse = records.sparse.name.clone();
        if long.is_some() && (record.is_some() || sparse.is_some()) {
            return Err(Problem::Ambiguous("a GNU long name and a PAX path"));
        }
        let path = sparse.or(record).or(long).unwrap_or_else(|| {
            let mut path = Vec::new();
            header.name(&mut path);
            path
        });
        if path.is_empty() { Err(Problem::NoName) } else { Ok(path) }
    }

    fn link(&mut self, kind: Kind, header: &Header<'_>, records: &mut Records) -> Result<Vec<u8>, Problem> {
        let long = self.long_link.take();
        let record = records.link.take();
        if long.is_some() && record.is_some() {
            return Err(Problem::Ambiguous("a GNU long link and a PAX linkpath"));
        }
        if !matches!(kind, Kind::Symlink | Kind::Hardlink) {
            return Ok(Vec::new());
        }
        let link = record.or(long).unwrap_or_else(|| header.link().to_vec());
        if link.is_empty() {
            return Err(Problem::NoTarget);
        }
        self.check_name(&link, "bytes in the target of a link")?;
        Ok(link)
    }

    fn check_name(&self, path: &[u8], what: &'static str) -> Result<(), Problem> {
        if path.len() > self.limits.path_bytes {
            return Err(Problem::Limit { what, limit: self.limits.path_bytes as u64 });
        }
        let depth = path.iter().filter(|&&byte| byte == b'/').count();
        if depth >= self.limits.depth {
            return Err(Problem::Limit { what: "components in a path", limit: self.limits.depth as u64 });
        }
        Ok(())
    }

    fn check_size(&self, size: u64) -> Result<(), Problem> {
        if size > self.limits.file_bytes {
            return Err(Problem::Limit { what: "bytes in a file", limit: self.limits.file_bytes });
        }
        Ok(())
    }

    /// Gives a sparse file out whose map is complete.
    fn sparse(&mut self, mut entry: Entry, stored: u64, mut map: Map) -> Result<Step, Problem> {
        self.check_size(entry.size)?;
        sparse::check(&mut map, entry.size, stored)?;
        entry.sparse = Some(map);
        self.done(entry, stored)
    }

    fn old_sparse(
        &mut self,
        mut entry: Entry,
        stored: u64,
        header: &Header<'_>,
        records: &Records,
    ) -> Result<Step, Problem> {
        if header.dialect != Dialect::Gnu || records.sparse.any() || records.star_real_size.is_some() {
            return Err(Problem::Ambiguous("a GNU sparse file in another dialect"));
        }
        let (pairs, more, size) = header.sparse()?;
        entry.size = size;
        let mut map = Map::new();
        let ended = sparse::push_old(&mut map, pairs, &self.limits)?;
        self.old_map_done_or_more(entry, stored, map, ended, more)
    }

    fn old_map(&mut self, entry: Entry, stored: u64, mut map: Map, block: &Block) -> Result<Step, Problem> {
        let ended = sparse::push_old(&mut map, &block[..504], &self.limits)?;
        self.old_map_done_or_more(entry, stored, map, ended, block[504] != 0)
    }

    fn old_map_done_or_more(
        &mut self,
        entry: Entry,
        stored: u64,
        map: Map,
        ended: bool,
        more: bool,
    ) -> Result<Step, Problem> {
        match (more, ended) {
            (true, true) => Err(Problem::Sparse("it goes on after its end")),
            (true, false) => {
                self.state = State::OldMap { entry, stored, map };
                Ok(Step::More)
            }
            (false, _) => self.sparse(entry, stored, map),
        }
    }

    fn lines(&mut self, entry: Entry, stored: u64, mut lines: Lines, block: &Block) -> Result<Step, Problem> {
        let left = stored.checked_sub(BLOCK as u64);
        let stored = left.ok_or(Problem::Sparse("it is longer than what is stored"))?;
        match lines.block(block, &self.limits)? {
            Some(map) => self.sparse(entry, stored, map),
            None => {
                self.state = State::Lines { entry, stored, lines };
                Ok(Step::More)
            }
        }
    }
}

fn is_zero(block: &Block) -> bool {
    block[0] == 0 && *block == [0; BLOCK]
}

/// A GNU long name: what is before the NULs at its end.
fn long(mut data: Vec<u8>) -> Result<Vec<u8>, Problem> {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    if data[end..].iter().any(|&byte| byte != 0) {
        return Err(Problem::Ambiguous("a NUL within a long name"));
    }
    if end == 0 {
        return Err(Problem::NoName);
    }
    data.truncate(end);
    Ok(data)
}

fn kind(flag: u8, path: &[u8]) -> Result<Kind, Problem> {
    let slash = path.ends_with(b"/");
    Ok(match flag {
        // Before POSIX, this was how a directory was told.
        0 if slash => Kind::Directory,
        b'0' | b'7' | b'S' if slash => {
            return Err(Problem::Ambiguous("a file whose name ends in a slash"));
        }
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::Hardlink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'M' | b'V' => return Err(Problem::MultiVolume),
        _ => return Err(Problem::Type(flag)),
    })
}

/// The bytes of content.
///
/// Writers put 0 (Go, GNU tar, Python), all sevens or the true value in base-256 into the field when only a
/// PAX record holds the size. A record that differs otherwise is how entries are smuggled past a reader.
///
/// Some writers give a size to what has no content. All readers pass over that of a directory. After a hard
/// link bsdtar may expect content, after other kinds GNU tar skips as many bytes, and the others do not.
fn size(kind: Kind, header: &Header<'_>, records: &Records) -> Result<u64, Problem> {
    const LARGEST: u64 = 0o77_777_777_777;
    let field = header.size()?;
    if kind != Kind::File {
        let field = field.filter(|_| header.kind() != b'5').unwrap_or_default();
        let stated = records.size.unwrap_or_default().max(field);
        return if stated == 0 { Ok(0) } else { Err(Problem::UnexpectedContent(stated)) };
    }
    let field = field.ok_or(Problem::Number("size"))?;
    let Some(pax) = records.size else { return Ok(field) };
    let does_not_fit = pax > LARGEST && (field == 0 || field == LARGEST);
    if pax == field || does_not_fit { Ok(pax) } else { Err(Problem::Sizes { pax, header: field }) }
}

fn device(kind: Kind, header: &Header<'_>, records: &Records) -> Result<(u32, u32), Problem> {
    if !matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
        return Ok((0, 0));
    }
    let (major, minor) = header.device()?;
    let differs = |record: Option<u64>, field: u32| record.is_some_and(|record| record != u64::from(field));
    if differs(records.device.0, major) || differs(records.device.1, minor) {
        return Err(Problem::Ambiguous("device numbers of star that differ from the header's"));
    }
    Ok((major, minor))
}
