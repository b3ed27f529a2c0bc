//! An image out of an archive of a file system.
//!
//! The layer is the archive as this program would write it, not the bytes that came: so nothing but the unpacked
//! files has to be kept, and the layer can be written again, byte for byte, whenever it is pushed or saved.

use std::{
    io::{self, BufReader, Read},
    os::fd::AsFd,
};

use longshore_archive::{
    apply::{self, Options},
    compress::{Decoder, peek},
    diff,
};
use longshore_store::{LayerFacts, Prepared};
use longshore_types::{
    Algorithm, DiffId, Hasher, ImageId, Kind, Platform, Progress, ProgressEvent, Reference, Status,
    oci::{ContainerConfig, ImageConfig, RootFs},
    time,
};

use crate::{
    Images, Result, changes,
    create::step,
    tag::{TagError, new_tag},
};

/// What to make of the archive.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Repository and tag; without a repository it gets no name.
    pub repository: String,
    pub tag: String,
    /// Where it comes from, for the comment: `-` or a URL.
    pub source: String,
    /// The comment, if not `Imported from …`.
    pub message: String,
    /// Lines of a Dockerfile; see [`changes::apply`].
    pub changes: Vec<String>,
    /// This machine's unless said otherwise.
    pub platform: Option<Platform>,
}

/// Why an archive was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Docker's words.
    #[error("cannot import digest reference")]
    Digest,
    /// Docker's words.
    #[error("operating system is not supported: {os}")]
    System { os: String },
    #[error("read the archive")]
    Read(#[source] io::Error),
    #[error("unpack the archive")]
    Unpack(#[from] apply::Error),
    #[error("the archive's directory")]
    Layer(#[from] diff::Error),
}

impl ImportError {
    /// What it means to whoever asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Digest | Self::System { .. } => Kind::InvalidInput,
            Self::Read(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Kind::InvalidInput,
                _ => Kind::Unavailable,
            },
            Self::Unpack(error) => error.kind(),
            Self::Layer(error) => error.kind(),
        }
    }
}

/// Zeros that may follow the archive: they come from whoever imports it, and cost no memory. Docker takes any number.
const PADDING: u64 = 64 << 30;
/// Bytes between two reports of progress.
const STRIDE: u64 = 512 << 10;

impl Images {
    /// Imports an archive: tar, plain or compressed with gzip, bzip2, xz or zstd. Blocks.
    pub fn import(
        &self,
        archive: impl Read,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<ImageId> {
        let tag = import_tag(options)?;
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        if platform.os != Platform::host().os {
            return Err(ImportError::System { os: platform.os }.into());
        }
        let mut config = ContainerConfig::default();
        changes::apply(&mut config, &options.changes, &[])?;
        let (prepared, diff_id) = self.import_layer(archive, progress)?;
        let created = time::rfc3339(time::now());
        let comment = if options.message.is_empty() {
            format!("Imported from {}", options.source)
        } else {
            options.message.clone()
        };
        let config = ImageConfig {
            created: Some(created.clone()),
            author: String::new(),
            architecture: platform.architecture,
            os: platform.os,
            os_version: platform.os_version,
            os_features: platform.os_features,
            variant: platform.variant,
            config,
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![diff_id] },
            history: vec![step(&created, "", "", &comment, false)],
            other: [("comment".to_owned(), comment.into())].into_iter().collect(),
        };
        self.create(&config, None, tag.as_ref(), prepared)
    }

    fn import_layer(&self, archive: impl Read, progress: &dyn Progress) -> Result<(Vec<Prepared>, DiffId)> {
        let mut limits = self.settings().limits;
        limits.padding_bytes = limits.padding_bytes.max(PADDING);
        let counted = Counted { inner: archive, read: 0, told: 0, progress };
        let (compression, stream) = peek(counted).map_err(ImportError::Read)?;
        let stream = BufReader::with_capacity(256 << 10, stream);
        let tar = Decoder::new(stream, compression, &limits).map_err(ImportError::Read)?;
        let layer = self.store().begin_layer()?;
        let options = Options { limits, ..Options::default() };
        apply::apply(tar, layer.dir(), &options).map_err(ImportError::from)?;
        let mut hash = Hash(Hasher::new(Algorithm::Sha256));
        let written = diff::write_layer(layer.dir().as_fd(), &mut hash).map_err(ImportError::from)?;
        let diff_id = DiffId(hash.0.finish());
        let facts = facts(&written);
        let layer = layer.prepare(diff_id.clone(), facts)?;
        Ok((vec![Prepared::Layer(layer)], diff_id))
    }
}

fn import_tag(options: &ImportOptions) -> Result<Option<Reference>> {
    if options.repository.is_empty() {
        return Ok(None);
    }
    match new_tag(&options.repository, &options.tag) {
        Ok(tag) => Ok(Some(tag)),
        Err(TagError::Digest) => Err(ImportError::Digest.into()),
        Err(error) => Err(error.into()),
    }
}

/// What is known of a layer that was written by us.
pub(crate) fn facts(written: &diff::Written) -> LayerFacts {
    LayerFacts {
        bytes: written.bytes,
        inodes: written.inodes,
        tar_bytes: written.tar_bytes,
        forms: Vec::new(),
    }
}

/// Hashes what is written to it.
pub(crate) struct Hash(pub(crate) Hasher);

impl io::Write for Hash {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0.update(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells how much was read.
struct Counted<'p, R> {
    inner: R,
    read: u64,
    told: u64,
    progress: &'p dyn Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read += length as u64;
        if self.read - self.told >= STRIDE {
            self.told = self.read;
            let status = Status::Importing { current: self.read, total: 0 };
            self.progress.report(ProgressEvent::of_all(status));
        }
        Ok(length)
    }
}
