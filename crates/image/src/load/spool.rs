//! The files of an archive, kept until it is known what they are.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Cursor, Read, Write},
};

use longshore_archive::{
    compress::{Decoder, peek},
    entry::{Entry, Kind},
    limits::Limits,
    tar::Reader,
};
use longshore_store::{Lease, Life, PreparedBlob, Resource, Store};
use longshore_types::{DiffId, Digest};

use super::error::{LoadError, shown};
use crate::Result;

/// Documents, and the most bytes of each that are read. Those of real archives have some kilobytes an image.
const DOCUMENTS: &[(&str, u64)] =
    &[("oci-layout", 64 << 10), ("index.json", 4 << 20), ("manifest.json", 4 << 20)];
/// Files up to here stay in memory …
const SMALL: u64 = 32 << 10;
/// … until there are so many bytes of them, with all names.
const SMALL_TOTAL: u64 = 16 << 20;
/// Files of one archive. A layer in the oldest form is three, and a link at most.
const FILES: u64 = 50_000;
/// Links from one to the next.
const LINKS: usize = 8;

/// The files of an archive by their names. When dropped, what was written to the disk is deleted.
#[derive(Debug)]
pub(super) struct Spool {
    store: Store,
    /// Holds what is in the store already.
    lease: Lease,
    files: HashMap<String, Stored>,
    links: HashMap<String, Link>,
    documents: HashMap<&'static str, Vec<u8>>,
    small: u64,
}

/// Where a file is.
#[derive(Debug)]
pub(super) enum Stored {
    Memory(Vec<u8>),
    Disk(PreparedBlob),
    /// The store has a blob of this digest, or the layer; the archive's copy was not read.
    Blob(Digest),
    Layer,
}

#[derive(Debug)]
enum Link {
    /// As seen from the directory that it is in.
    Symbolic(String),
    /// As seen from the top.
    Hard(String),
}

impl Spool {
    pub(super) fn new(store: &Store) -> Result<Self> {
        Ok(Self {
            store: store.clone(),
            lease: store.lease("load", Life::Process)?,
            files: HashMap::new(),
            links: HashMap::new(),
            documents: HashMap::new(),
            small: 0,
        })
    }

    /// Reads an archive to its end.
    pub(super) fn fill(&mut self, archive: impl Read, limits: &Limits) -> Result<()> {
        let (compression, archive) = peek(archive).map_err(LoadError::Read)?;
        let archive = BufReader::with_capacity(256 << 10, archive);
        let decoder = Decoder::new(archive, compression, limits).map_err(LoadError::Read)?;
        let mut tar = Reader::new(decoder, limits);
        let mut count = 0;
        while let Some(entry) = tar.next().map_err(LoadError::from)? {
            count += 1;
            if count > FILES {
                return Err(LoadError::TooMany { what: "files", limit: FILES }.into());
            }
            self.entry(&entry, &mut tar)?;
        }
        Ok(())
    }

    fn entry<R: Read>(&mut self, entry: &Entry, tar: &mut Reader<R>) -> Result<()> {
        let name = clean(&entry.path)?;
        match entry.kind {
            Kind::File => {}
            Kind::Symlink | Kind::Hardlink => {
                let target = String::from_utf8_lossy(&entry.link).into_owned();
                let link =
                    if entry.kind == Kind::Symlink { Link::Symbolic(target) } else { Link::Hard(target) };
                self.count(name.len() as u64 + entry.link.len() as u64)?;
                self.check_new(&name)?;
                self.links.insert(name, link);
                return Ok(());
            }
            // Nothing that an image is made of.
            Kind::Directory | Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => return Ok(()),
        }
        if entry.sparse.is_some() {
            return Err(LoadError::Sparse { name: shown(&name) }.into());
        }
        self.check_new(&name)?;
        if let Some((document, limit)) = DOCUMENTS.iter().find(|(document, _)| *document == name) {
            if entry.size > *limit {
                let (found, limit) = (entry.size, *limit);
                return Err(LoadError::TooLong { name, found, limit }.into());
            }
            let bytes = read(tar, entry.size)?;
            self.documents.insert(document, bytes);
            return Ok(());
        }
        // Of the oldest form, and said elsewhere too.
        let last = name.rsplit('/').next().unwrap_or_default();
        if matches!(last, "VERSION" | "json" | "repositories") {
            return Ok(());
        }
        self.count(name.len() as u64)?;
        let stored = self.keep(&name, entry.size, tar)?;
        self.files.insert(name, stored);
        Ok(())
    }

    /// Two files of one name would be two meanings of one archive.
    fn check_new(&self, name: &str) -> Result<(), LoadError> {
        let known = self.files.contains_key(name) || self.links.contains_key(name);
        if known || self.documents.contains_key(name) {
            return Err(LoadError::Twice { name: shown(name) });
        }
        Ok(())
    }

    /// Counts bytes that stay in memory.
    fn count(&mut self, bytes: u64) -> Result<(), LoadError> {
        self.small += bytes;
        if self.small > 2 * SMALL_TOTAL {
            return Err(LoadError::TooMany { what: "bytes of names", limit: SMALL_TOTAL });
        }
        Ok(())
    }

    /// Keeps the content of a file. A blob must hash to its name.
    fn keep<R: Read>(&mut self, name: &str, size: u64, tar: &mut Reader<R>) -> Result<Stored> {
        let digest = blob_name(name)?;
        if let Some(digest) = &digest
            && let Some(stored) = self.present(digest)?
        {
            return Ok(stored);
        }
        let (stored, found) = if size <= SMALL && self.small + size <= SMALL_TOTAL {
            let bytes = read(tar, size)?;
            self.small += size;
            let found = Digest::of(&bytes);
            (Stored::Memory(bytes), found)
        } else {
            let blob = self.write(name, tar)?;
            let found = blob.digest().clone();
            (Stored::Disk(blob), found)
        };
        if digest.is_some_and(|digest| digest != found) {
            return Err(LoadError::Digest { name: shown(name), found }.into());
        }
        Ok(stored)
    }

    /// What the store has of this digest, held from now on.
    fn present(&self, digest: &Digest) -> Result<Option<Stored>> {
        let diff_id = DiffId(digest.clone());
        self.lease.add_all([Resource::Blob(digest.clone()), Resource::Layer(diff_id.clone())])?;
        if self.store.has_blob(digest)? {
            return Ok(Some(Stored::Blob(digest.clone())));
        }
        Ok(self.store.layer(&diff_id)?.map(|_| Stored::Layer))
    }

    fn write<R: Read>(&self, name: &str, tar: &mut Reader<R>) -> Result<PreparedBlob> {
        let mut ingest = self.store.new_blob()?;
        loop {
            let chunk = tar.chunk().map_err(LoadError::from)?;
            if chunk.is_empty() {
                return Ok(ingest.prepare()?);
            }
            let length = chunk.len();
            ingest.write_all(chunk).map_err(|source| LoadError::Spool { name: shown(name), source })?;
            tar.advance(length);
        }
    }

    /// The bytes of `manifest.json` and the like.
    pub(super) fn document(&self, name: &str) -> Option<&[u8]> {
        self.documents.get(name).map(Vec::as_slice)
    }

    /// The name of the file that `name` is or links to; `by` says who asks.
    pub(super) fn resolve(&self, name: &str, by: &'static str) -> Result<String, LoadError> {
        let mut at = clean(name.as_bytes())?;
        for _ in 0..LINKS {
            let Some(link) = self.links.get(&at) else {
                if self.files.contains_key(&at) {
                    return Ok(at);
                }
                return Err(LoadError::Missing { by, name: shown(name) });
            };
            let out = || LoadError::Link { name: shown(&at), wrong: "out of it" };
            at = match link {
                Link::Symbolic(target) => relative(&at, target).ok_or_else(out)?,
                Link::Hard(target) => relative("", target).ok_or_else(out)?,
            };
        }
        Err(LoadError::Link { name: shown(name), wrong: "from one to the next too often" })
    }

    /// The file of this name, which is no link.
    pub(super) fn file(&self, name: &str) -> Option<&Stored> {
        self.files.get(name)
    }

    /// All of a file, if it is there and has no more than `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let too_long = |found| LoadError::TooLong { name: shown(name), found, limit };
        match self.files.get(name) {
            None | Some(Stored::Layer) => Ok(None),
            Some(Stored::Memory(bytes)) if bytes.len() as u64 > limit => {
                Err(too_long(bytes.len() as u64).into())
            }
            Some(Stored::Memory(bytes)) => Ok(Some(bytes.clone())),
            Some(Stored::Blob(digest)) => Ok(Some(self.store.read_blob(digest, limit)?)),
            Some(Stored::Disk(blob)) if blob.size() > limit => Err(too_long(blob.size()).into()),
            Some(Stored::Disk(blob)) => {
                let mut bytes = Vec::new();
                blob.reader()?.read_to_end(&mut bytes).map_err(LoadError::Read)?;
                Ok(Some(bytes))
            }
        }
    }

    /// A file to be read from its start, with its length; nothing if it was not kept.
    pub(super) fn open(&self, name: &str) -> Result<Option<(FileReader, u64)>> {
        Ok(match self.files.get(name) {
            None | Some(Stored::Layer) => None,
            Some(Stored::Memory(bytes)) => {
                Some((FileReader::Memory(Cursor::new(bytes.clone())), bytes.len() as u64))
            }
            Some(Stored::Disk(blob)) => Some((FileReader::Disk(blob.reader()?), blob.size())),
            Some(Stored::Blob(digest)) => {
                let size = self.store.blob_size(digest)?.unwrap_or(0);
                Some((FileReader::Disk(self.store.blob(digest)?), size))
            }
        })
    }

    /// The bytes of a file; nothing for one that was not kept.
    pub(super) fn size(&self, name: &str) -> Result<Option<u64>> {
        Ok(match self.files.get(name) {
            None | Some(Stored::Layer) => None,
            Some(Stored::Memory(bytes)) => Some(bytes.len() as u64),
            Some(Stored::Disk(blob)) => Some(blob.size()),
            Some(Stored::Blob(digest)) => self.store.blob_size(digest)?,
        })
    }

    /// Keeps things in the store until the archive is loaded.
    pub(super) fn hold(&self, resources: impl IntoIterator<Item = Resource>) -> Result<()> {
        Ok(self.lease.add_all(resources)?)
    }

    /// Takes a file out, to be stored.
    pub(super) fn take(&mut self, name: &str) -> Option<Stored> {
        self.files.remove(name)
    }
}

/// The content of a kept file.
#[derive(Debug)]
pub(super) enum FileReader {
    Memory(Cursor<Vec<u8>>),
    Disk(File),
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => bytes.read(buffer),
            Self::Disk(file) => file.read(buffer),
        }
    }
}

/// All of an entry's content.
fn read<R: Read>(tar: &mut Reader<R>, size: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    loop {
        let chunk = tar.chunk().map_err(LoadError::from)?;
        if chunk.is_empty() {
            return Ok(bytes);
        }
        let length = chunk.len();
        bytes.extend_from_slice(chunk);
        tar.advance(length);
    }
}

/// The digest of a name below `blobs/`.
fn blob_name(name: &str) -> Result<Option<Digest>, LoadError> {
    let Some(rest) = name.strip_prefix("blobs/") else { return Ok(None) };
    let digest = rest.split_once('/').and_then(|(kind, hex)| format!("{kind}:{hex}").parse().ok());
    match digest {
        Some(digest) if rest.starts_with("sha256/") => Ok(Some(digest)),
        // Others hash with something else, or are no blobs.
        _ => Err(LoadError::Name { name: shown(name) }),
    }
}

/// A name as a key: without `./`, never up or absolute.
fn clean(name: &[u8]) -> Result<String, LoadError> {
    let bad = || LoadError::Name { name: shown(&String::from_utf8_lossy(name)) };
    let text = std::str::from_utf8(name).map_err(|_| bad())?;
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err(bad());
    }
    relative("", text).ok_or_else(bad)
}

/// Where `target` leads, seen from the directory of `from`; nothing if out of the archive.
fn relative(from: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
