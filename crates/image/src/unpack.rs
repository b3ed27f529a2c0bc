//! From the bytes of a layer to an unpacked layer, in one pass.
//!
//! ```text
//!            caller's thread                                            │ second thread
//! source ─▶ tee ─▶ inflate ─▶ sha256 (DiffID) ─▶ buffers of 256 KiB ────┼─▶ tar ─▶ apply ─▶ layers/<n>/fs
//!            └▶ sha256 (digest), file in ingest/                        │
//! ```
//!
//! Everything is streamed: a layer costs [`BUFFERS`] buffers and the decoder's window, however long it is. Nothing
//! is visible until the result goes to [`Store::commit_all`].
//!
//! What stays when it fails: the partial blob, if it was the source that failed (the next attempt goes on from
//! there); nothing, if the content was wrong or the disk was full.

mod error;
mod input;
mod pipe;

use std::{
    io::{self, BufRead, Read},
    os::fd::BorrowedFd,
    thread,
};

pub use error::Error;
use input::Input;
use longshore_archive::{
    apply::{self, Applied},
    compress::{self, Compression, Decoder},
    limits::Limits,
};
use longshore_store::{Form, FormKind, Ingest, LayerFacts, PreparedBlob, PreparedLayer, Store};
use longshore_types::{
    Algorithm, DiffId, Hasher,
    oci::{self, MediaKind, media_type},
};
use pipe::{Buffers, Pieces};

/// Buffers between the two threads, each of [`BUFFER`] bytes.
const BUFFERS: usize = 4;
const BUFFER: usize = 256 << 10;
/// How much more is read of a layer whose content is wrong, to learn whether its digest is wrong too.
const DRAINED: u64 = 64 << 20;

/// What is to be done with the bytes of a layer.
pub struct Job<'j> {
    /// What messages call the layer.
    pub name: String,
    /// Takes the bytes as they come. Those that it has already are read from there, and the source goes on behind
    /// them.
    pub keep: Option<Ingest>,
    /// A blob that the layer is being read from, and that may go on to hold it.
    pub form: Option<Form>,
    /// The media type of the bytes, if somebody said so.
    pub media_type: Option<String>,
    /// The DiffID that the layer must have.
    pub expected: Option<DiffId>,
    pub limits: Limits,
    /// Is told how many bytes were taken so far; called often.
    pub progress: Option<&'j (dyn Fn(u64) + Sync)>,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl Job<'_> {
    /// A layer that nothing is known of, which is not kept.
    #[must_use]
    pub fn new(name: impl Into<String>, limits: &Limits) -> Self {
        Self {
            name: name.into(),
            keep: None,
            form: None,
            media_type: None,
            expected: None,
            limits: *limits,
            progress: None,
        }
    }
}

/// A layer that is complete, and not yet visible.
#[derive(Debug)]
pub struct Unpacked {
    pub layer: PreparedLayer,
    /// The bytes as they came, if they were to be kept.
    pub blob: Option<PreparedBlob>,
    pub facts: LayerFacts,
    pub compression: Compression,
}

impl Unpacked {
    /// Which layer it is.
    #[must_use]
    pub fn diff_id(&self) -> &DiffId {
        self.layer.diff_id()
    }
}

/// Unpacks the layer that `source` holds. Blocks.
pub fn unpack(store: &Store, source: impl BufRead, mut job: Job<'_>) -> Result<Unpacked, Error> {
    let layer = store.begin_layer()?;
    let mut input = Input::new(source, job.keep.take(), job.progress)?;
    let (compression, inflated, applied) = match run(&mut input, &job, layer.dir()) {
        Ok(done) => done,
        Err(error) => return Err(clean_up(input, error, &job.name)),
    };
    let blob = input.into_keep().map(Ingest::prepare).transpose()?;
    let diff_id = inflated.diff_id;
    if let Some(expected) = &job.expected
        && *expected != diff_id
    {
        if let Some(blob) = blob {
            blob.discard()?;
        }
        return Err(Error::DiffId { layer: job.name, expected: expected.clone(), found: diff_id });
    }
    let mut facts = LayerFacts {
        bytes: applied.bytes,
        inodes: applied.inodes,
        tar_bytes: inflated.bytes,
        forms: job.form.into_iter().collect(),
    };
    if let Some(blob) = &blob {
        facts.forms.push(Form {
            digest: blob.digest().clone(),
            size: blob.size(),
            media_type: job.media_type.unwrap_or_else(|| media_type_of(compression).to_owned()),
            kind: FormKind::Compressed,
        });
    }
    let layer = layer.prepare(diff_id, facts.clone())?;
    Ok(Unpacked { layer, blob, facts, compression })
}

/// What came out of the decoder.
struct Inflated {
    diff_id: DiffId,
    bytes: u64,
}

/// Why the first thread stopped.
enum Stop {
    /// The second thread takes no more: its error is the one that counts.
    Refused,
    Failed(io::Error),
}

fn run<R: BufRead>(
    input: &mut Input<'_, R>,
    job: &Job<'_>,
    root: BorrowedFd<'_>,
) -> Result<(Compression, Inflated, Applied), Error> {
    let named = || job.name.clone();
    let read = |source| Error::Read { layer: named(), source };
    let (compression, input) = compress::peek(input).map_err(read)?;
    check_media_type(job, compression)?;
    let decoder = Decoder::new(input, compression, &job.limits).map_err(read)?;
    let (buffers, pieces) = pipe::new(BUFFERS, BUFFER);
    let (inflated, applied) = thread::scope(|scope| {
        let applying = thread::Builder::new()
            .name("unpack".to_owned())
            .spawn_scoped(scope, || apply_layer(pieces, root, &job.limits));
        let applying = match applying {
            Ok(applying) => applying,
            Err(error) => return (Err(Stop::Failed(error)), None),
        };
        let inflated = inflate(decoder, buffers);
        let applied = applying.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (inflated, Some(applied))
    });
    match (inflated, applied) {
        (Ok(inflated), Some(Ok(applied))) => Ok((compression, inflated, applied)),
        (Err(Stop::Failed(source)), _) => Err(Error::Read { layer: named(), source }),
        (_, Some(Err(source))) => Err(Error::Apply { layer: named(), source }),
        (_, _) => Err(Error::Read { layer: named(), source: io::ErrorKind::UnexpectedEof.into() }),
    }
}

/// Readers that go by the media type and readers that look at the bytes must see the same.
///
/// A plain tar under gzip's type is what old builders made of small layers; every engine takes it.
fn check_media_type(job: &Job<'_>, found: Compression) -> Result<(), Error> {
    let Some(media_type) = &job.media_type else { return Ok(()) };
    let MediaKind::Layer { compression, .. } = MediaKind::of(media_type) else { return Ok(()) };
    let fits = match compression {
        oci::Compression::None => found == Compression::None,
        oci::Compression::Gzip => matches!(found, Compression::Gzip | Compression::None),
        oci::Compression::Zstd => found == Compression::Zstd,
    };
    if fits {
        return Ok(());
    }
    Err(Error::MediaType { layer: job.name.clone(), media_type: media_type.clone(), found })
}

/// The media type of a layer that came without one.
const fn media_type_of(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => media_type::OCI_LAYER_GZIP,
        Compression::Zstd => media_type::OCI_LAYER_ZSTD,
        _ => media_type::OCI_LAYER,
    }
}

/// The first thread: decodes, hashes, and hands over.
fn inflate(mut decoder: impl Read, mut buffers: Buffers) -> Result<Inflated, Stop> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut bytes = 0;
    loop {
        let Some(mut buffer) = buffers.empty() else { return Err(Stop::Refused) };
        let length = match fill(&mut decoder, &mut buffer) {
            Ok(length) => length,
            Err(error) => {
                buffers.fail();
                return Err(Stop::Failed(error));
            }
        };
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
        bytes += length as u64;
        if !buffers.send(buffer, length) {
            return Err(Stop::Refused);
        }
    }
    Ok(Inflated { diff_id: DiffId(hasher.finish()), bytes })
}

/// Reads until the buffer is full or there is no more.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match source.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// The second thread: makes files.
fn apply_layer(mut pieces: Pieces, root: BorrowedFd<'_>, limits: &Limits) -> Result<Applied, apply::Error> {
    let options = apply::Options { limits: *limits, ..apply::Options::default() };
    let applied = apply::apply(&mut pieces, root, &options)?;
    // All that comes belongs to the DiffID, also what the reader of the archive had no use for.
    while pieces.skip() {}
    Ok(applied)
}

/// Decides what stays of a blob whose layer could not be unpacked, and which error counts.
fn clean_up<R: BufRead>(mut input: Input<'_, R>, error: Error, name: &str) -> Error {
    if let Some(error) = input.failure(name) {
        return error;
    }
    if error.is_of_content() && input.rest().is_some_and(|rest| rest <= DRAINED) {
        // Bytes that are not those of the digest explain everything else.
        if input.drain().is_ok()
            && let Some(keep) = input.take_keep()
        {
            return match keep.prepare() {
                Ok(blob) => blob.discard().err().map_or(error, Error::Store),
                Err(wrong) => Error::Store(wrong),
            };
        }
        if let Some(error) = input.failure(name) {
            return error;
        }
    }
    if let Some(keep) = input.take_keep()
        && let Err(more) = keep.abort()
    {
        tracing::warn!(%more, "a partial download stays until the next start");
    }
    error
}
