//! Blobs: content under its digest, and how it gets there.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    sync::Arc,
};

use longshore_types::{Algorithm, Digest, Hasher};

use crate::{
    commit::Prepared,
    db,
    error::{At, Error, Result},
    failpoint,
    outflow::Outflow,
    root::{Inner, Store},
};

/// A blob on its way in. Written from [`Ingest::offset`] on; dropped without [`Ingest::prepare`], what came of an
/// announced blob stays for the next attempt.
#[derive(Debug)]
pub struct Ingest {
    out: Outflow,
    hasher: Hasher,
    offset: u64,
    /// How much of it was there when it began.
    resumed: u64,
    place: Place,
}

/// The file below `ingest/`, and who may know of it.
#[derive(Debug)]
struct Place {
    store: Arc<Inner>,
    name: String,
    /// Digest and size, where they are known before the content.
    expected: Option<(Digest, u64)>,
}

/// A blob that is whole and verified, and not yet visible. Goes to [`Store::commit_all`].
#[derive(Debug)]
pub struct PreparedBlob {
    pub(crate) file: File,
    digest: Digest,
    size: u64,
    place: Place,
}

impl Store {
    /// Begins or resumes a download of `size` bytes that hash to `digest`.
    ///
    /// Fails with [`Error::IngestBusy`] while somebody else has it.
    pub fn ingest(&self, digest: &Digest, size: u64) -> Result<Ingest> {
        if !self.0.staged().blobs.insert(digest.clone()) {
            return Err(Error::IngestBusy { digest: digest.clone() });
        }
        let place = Place {
            store: Arc::clone(&self.0),
            name: partial_name(digest, size),
            expected: Some((digest.clone(), size)),
        };
        let mut file = self.0.dirs.ingest.create(&place.name)?;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut offset = hash(&mut file, &mut hasher).at("read", self.0.dirs.ingest.join(&place.name))?;
        if offset > size {
            file.set_len(0).and_then(|()| file.rewind()).at("write", self.0.dirs.ingest.join(&place.name))?;
            hasher = Hasher::new(digest.algorithm());
            offset = 0;
        }
        Ok(Ingest { out: Outflow::new(file, offset), hasher, offset, resumed: offset, place })
    }

    /// Begins a blob whose digest is not known yet, as a push or a build makes one. SHA-256.
    pub fn new_blob(&self) -> Result<Ingest> {
        let name = format!("new-{}", self.0.number());
        self.0.staged().files.insert(name.clone());
        let place = Place { store: Arc::clone(&self.0), name, expected: None };
        let file = self.0.dirs.ingest.create(&place.name)?;
        let out = Outflow::new(file, 0);
        Ok(Ingest { out, hasher: Hasher::new(Algorithm::Sha256), offset: 0, resumed: 0, place })
    }

    /// Prepares a small blob: a manifest, a configuration.
    pub fn prepare_blob(&self, content: &[u8]) -> Result<PreparedBlob> {
        let mut ingest = self.new_blob()?;
        let path = self.0.dirs.ingest.join(&ingest.place.name);
        ingest.write_all(content).at("write", path)?;
        ingest.prepare()
    }

    /// Stores a small blob durably.
    pub fn put_blob(&self, content: &[u8]) -> Result<Digest> {
        let prepared = self.prepare_blob(content)?;
        let digest = prepared.digest().clone();
        self.commit_all(vec![Prepared::Blob(prepared)])?;
        Ok(digest)
    }

    /// Opens a blob. Its size is the file's.
    pub fn blob(&self, digest: &Digest) -> Result<File> {
        let missing = || Error::NoSuchBlob { digest: digest.clone() };
        if !self.has_blob(digest)? {
            return Err(missing());
        }
        self.0.dirs.blobs(digest.algorithm()).open(digest.hex())?.ok_or_else(missing)
    }

    /// The whole of a blob of at most `limit` bytes, verified.
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let path = self.0.dirs.blobs(digest.algorithm()).join(digest.hex());
        let mut content = Vec::new();
        self.blob(digest)?.take(limit + 1).read_to_end(&mut content).at("read", path)?;
        let found = content.len() as u64;
        if found > limit {
            return Err(Error::SizeMismatch { digest: digest.clone(), expected: limit, found });
        }
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update(&content);
        let found = hasher.finish();
        if found != *digest {
            return Err(Error::DigestMismatch { expected: digest.clone(), found, resumed: false });
        }
        Ok(content)
    }

    /// Whether the blob is here.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool> {
        Ok(self.blob_size(digest)?.is_some())
    }

    /// The bytes of the blob, if it is here.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.0.db.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT size FROM blobs WHERE digest = ?1")?;
            let mut rows = statement.query([digest.as_str()])?;
            Ok(rows.next()?.map(|row| row.get(0)).transpose()?.map(db::size))
        })
    }

    /// How much of a partial download is here, without opening it.
    pub fn partial(&self, digest: &Digest, size: u64) -> Result<u64> {
        let stat = self.0.dirs.ingest.stat(partial_name(digest, size))?;
        Ok(stat.map_or(0, |stat| db::size(stat.st_size)))
    }
}

impl Ingest {
    /// How many bytes are here; the next to write has this offset.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes announced, if they were.
    #[must_use]
    pub fn expected_size(&self) -> Option<u64> {
        self.place.expected.as_ref().map(|(_, size)| *size)
    }

    /// Opens what is here so far, to be read from the start beside the writing.
    pub fn reader(&mut self) -> Result<File> {
        let ingest = &self.place.store.dirs.ingest;
        self.out.flush().at("write", ingest.join(&self.place.name))?;
        let missing = io::Error::from(io::ErrorKind::NotFound);
        ingest.open(&self.place.name)?.ok_or(missing).at("open", ingest.join(&self.place.name))
    }

    /// Verifies size and digest. What does not match is deleted: the next attempt starts from nothing.
    pub fn prepare(self) -> Result<PreparedBlob> {
        let Self { out, hasher, offset, resumed, place } = self;
        let finished = failpoint::step("blob.finish").and_then(|()| out.finish());
        let finished = finished.at("write", place.store.dirs.ingest.join(&place.name));
        let file = finished.inspect_err(|_| {
            // The disk is full or broken: what is here only takes room.
            place.store.dirs.ingest.unlink(&place.name).ok();
        })?;
        let found = hasher.finish();
        if let Some((expected, size)) = &place.expected {
            if offset < *size {
                // Short: the rest may come yet.
                return Err(Error::SizeMismatch { digest: expected.clone(), expected: *size, found: offset });
            }
            if found != *expected {
                let expected = expected.clone();
                place.store.dirs.ingest.unlink(&place.name)?;
                return Err(Error::DigestMismatch { expected, found, resumed: resumed > 0 });
            }
        }
        Ok(PreparedBlob { file, digest: found, size: offset, place })
    }

    /// Verifies, and makes the blob visible and durable.
    pub fn commit(self) -> Result<Digest> {
        let store = Store(Arc::clone(&self.place.store));
        let prepared = self.prepare()?;
        let digest = prepared.digest().clone();
        store.commit_all(vec![Prepared::Blob(prepared)])?;
        Ok(digest)
    }

    /// Deletes what came.
    pub fn abort(mut self) -> Result<()> {
        self.out.forget();
        self.place.store.dirs.ingest.unlink(&self.place.name)
    }
}

impl Write for Ingest {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if let Some((digest, size)) = &self.place.expected
            && self.offset + piece.len() as u64 > *size
        {
            let text = format!("blob {digest}: more than the {size} bytes announced");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        failpoint::step("blob.write")?;
        self.out.push(piece)?;
        self.hasher.update(piece);
        self.offset += piece.len() as u64;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl PreparedBlob {
    /// The digest of its content.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its content, before it is committed.
    pub fn reader(&self) -> Result<File> {
        let ingest = &self.place.store.dirs.ingest;
        let missing = io::Error::from(io::ErrorKind::NotFound);
        ingest.open(&self.place.name)?.ok_or(missing).at("open", ingest.join(&self.place.name))
    }

    /// Deletes it: nobody wants it after all.
    pub fn discard(self) -> Result<()> {
        self.place.store.dirs.ingest.unlink(&self.place.name)
    }

    /// The name of its file below `ingest/`.
    pub(crate) fn name(&self) -> &str {
        &self.place.name
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match &self.expected {
            Some((digest, _)) => {
                self.store.staged().blobs.remove(digest);
            }
            None => {
                // Not there after a commit. What cannot be removed now goes at the next open.
                self.store.dirs.ingest.unlink(&self.name).ok();
                self.store.staged().files.remove(&self.name);
            }
        }
    }
}

/// The name of a partial below `ingest/`.
fn partial_name(digest: &Digest, size: u64) -> String {
    format!("{}-{}-{size}", digest.algorithm().name(), digest.hex())
}

/// Which blob a name below `ingest/` is a part of.
pub(crate) fn partial_of(name: &str) -> Option<(Digest, u64)> {
    let (digest, size) = name.rsplit_once('-')?;
    let size = size.parse().ok()?;
    let digest: Digest = digest.replacen('-', ":", 1).parse().ok()?;
    (partial_name(&digest, size) == name).then_some((digest, size))
}

/// Hashes a file from its start to its end; says how long it is.
pub(crate) fn hash(file: &mut File, hasher: &mut Hasher) -> io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(total);
        }
        hasher.update(&buffer[..count]);
        total += count as u64;
    }
}
