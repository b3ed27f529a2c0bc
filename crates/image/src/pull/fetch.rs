//! One layer: downloaded and unpacked in one pass. The work of a flight.

use std::{
    io::BufReader,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use longshore_archive::compress::Decoder;
use longshore_registry::{Observer, Repository};
use longshore_store::{Form, FormKind, Ingest, Store};
use longshore_types::{DiffId, Digest, oci::Descriptor};
use tokio::sync::{Mutex, watch};

use super::{CANCELLED, Stage, channel};
use crate::{
    Error, Images, Result,
    flight::Pilot,
    spawn_blocking,
    unpack::{self, Job, Unpacked, unpack},
};

/// What a flight fetches: a blob that is said to be this layer. An image that lies about it has a flight of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LayerKey {
    pub(crate) blob: Digest,
    pub(crate) diff_id: DiffId,
}

/// A layer that was fetched.
#[derive(Debug)]
pub(crate) struct Landed {
    /// Held while it is being made visible.
    pub(crate) slot: Arc<Mutex<Slot>>,
}

/// What became of a layer that was fetched.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Not yet visible.
    Ready(Box<Unpacked>),
    Committed,
    Failed(Arc<Error>),
}

impl Landed {
    fn new(slot: Slot) -> Arc<Self> {
        Arc::new(Self { slot: Arc::new(Mutex::new(slot)) })
    }
}

/// How long to wait before looking again whether a blob is still being written by somebody else.
const BUSY: Duration = Duration::from_millis(20);
/// Amounts are told in steps of so many bytes.
const STEP: u64 = 256 << 10;
/// Bytes read at once of a blob that is here.
const READ: usize = 128 << 10;

/// Fetches a layer, when it is its turn.
pub(super) async fn fetch(
    images: Images,
    pilot: Pilot<Stage>,
    repository: Repository,
    key: LayerKey,
    descriptor: Descriptor,
) -> Result<Arc<Landed>> {
    let turns = images.downloads();
    let turn = match Arc::clone(&turns).try_acquire_owned() {
        Ok(turn) => turn,
        Err(_) => {
            pilot.tell(Stage::Waiting);
            tokio::select! {
                turn = turns.acquire_owned() => turn.map_err(|_| Error::ShuttingDown)?,
                () = pilot.stopped() => return Err(CANCELLED),
            }
        }
    };
    let layer = Layer { images, key, descriptor };
    let fetched = layer.fetch(&pilot, &repository).await;
    drop(turn);
    fetched
}

struct Layer {
    images: Images,
    key: LayerKey,
    descriptor: Descriptor,
}

impl Layer {
    async fn fetch(&self, pilot: &Pilot<Stage>, repository: &Repository) -> Result<Arc<Landed>> {
        let key = self.key.clone();
        let known =
            move |store: &Store| Ok((store.layer(&key.diff_id)?.is_some(), store.has_blob(&key.blob)?));
        let (has_layer, has_blob) = self.images.blocking(known).await?;
        if has_layer {
            return Ok(Landed::new(Slot::Committed));
        }
        if has_blob {
            return self.unpack_blob(pilot).await;
        }
        match self.download(pilot, repository).await {
            // What was here before may be the part that was wrong. It is gone now.
            Err(Error::Unpack(unpack::Error::Store(longshore_store::Error::DigestMismatch {
                resumed: true,
                ..
            }))) => self.download(pilot, repository).await,
            other => other,
        }
    }

    fn job(&self) -> Job<'static> {
        Job {
            media_type: Some(self.descriptor.media_type.clone()),
            expected: Some(self.key.diff_id.clone()),
            ..Job::new(self.descriptor.digest.short(), &self.images.settings().limits)
        }
    }

    /// Unpacks a blob that is here: its layer was taken out of use, or never made.
    async fn unpack_blob(&self, pilot: &Pilot<Stage>) -> Result<Arc<Landed>> {
        let (store, mut job, digest) = (self.images.store().clone(), self.job(), self.key.blob.clone());
        job.form = Some(Form {
            digest: digest.clone(),
            size: self.descriptor.size,
            media_type: self.descriptor.media_type.clone(),
            kind: FormKind::Compressed,
        });
        let teller = pilot.teller();
        let unpacked = spawn_blocking(move || {
            let source = BufReader::with_capacity(READ, store.blob(&digest)?);
            let step = Steps::default();
            let progress = |taken| {
                if step.is_due(taken) {
                    teller.send_replace(Stage::Extracting(taken));
                }
            };
            let job = Job { progress: Some(&progress), ..job };
            Ok(unpack(&store, source, job)?)
        })
        .await?;
        Ok(Landed::new(Slot::Ready(Box::new(unpacked))))
    }

    /// Begins or resumes the blob. A pull of another image, or a load, may have it just now.
    async fn ingest(&self, pilot: &Pilot<Stage>) -> Result<Ingest> {
        loop {
            let (digest, size) = (self.key.blob.clone(), self.descriptor.size);
            match self.images.blocking(move |store| Ok(store.ingest(&digest, size)?)).await {
                Err(Error::Store(longshore_store::Error::IngestBusy { .. })) => {}
                other => return other,
            }
            tokio::select! {
                () = tokio::time::sleep(BUSY) => {}
                () = pilot.stopped() => return Err(CANCELLED),
            }
        }
    }

    async fn download(&self, pilot: &Pilot<Stage>, repository: &Repository) -> Result<Arc<Landed>> {
        let ingest = self.ingest(pilot).await?;
        let offset = ingest.offset();
        let (sender, reader) = channel::channel();
        let (store, mut job, teller) = (self.images.store().clone(), self.job(), pilot.teller());
        let images = self.images.clone();
        job.keep = Some(ingest);
        let unpacking = tokio::spawn(spawn_blocking(move || {
            let step = Steps::default();
            let progress = |taken| {
                if step.is_due(taken) {
                    // While bytes come, the download is what is shown.
                    teller.send_if_modified(|stage| {
                        let shown = matches!(stage, Stage::Extracting(_));
                        if shown {
                            *stage = Stage::Extracting(taken);
                        }
                        shown
                    });
                }
            };
            let job = Job { progress: Some(&progress), ..job };
            slim(&images, unpack(&store, reader, job)?)
        }));
        let teller = pilot.teller();
        let pumped = tokio::select! {
            pumped = self.pump(repository, offset, sender, &teller) => pumped,
            // The sender is dropped, so that the thread stops; it is waited for, since it has the blob.
            () = pilot.stopped() => Err(CANCELLED),
        };
        let unpacked = unpacking.await.map_err(|_| Error::ShuttingDown)?;
        match (pumped, unpacked) {
            (_, Ok(unpacked)) => Ok(Landed::new(Slot::Ready(Box::new(unpacked)))),
            (Err(error), Err(Error::Unpack(unpack::Error::Source { .. }))) => Err(error),
            (_, Err(error)) => Err(error),
        }
    }

    /// Moves the bytes from the network to the thread that unpacks them.
    async fn pump(
        &self,
        repository: &Repository,
        offset: u64,
        sender: channel::Sender,
        teller: &watch::Sender<Stage>,
    ) -> Result<()> {
        if offset < self.descriptor.size {
            let retrying = teller.clone();
            let observer = Observer::new(move |retry| {
                retrying.send_replace(Stage::Retrying(retry.wait.as_secs().max(1)));
            });
            let mut blob = repository.observed_by(observer).blob(&self.descriptor, offset)?;
            let step = Steps::default();
            while let Some(piece) = blob.next().await? {
                if step.is_due(blob.offset()) {
                    teller.send_replace(Stage::Downloading(blob.offset()));
                }
                if !sender.send(piece).await {
                    // The thread says why.
                    return Ok(());
                }
            }
        }
        teller.send_replace(Stage::Downloading(self.descriptor.size));
        sender.end().await;
        teller.send_replace(Stage::Extracting(0));
        Ok(())
    }
}

/// Makes reports rare.
#[derive(Default)]
struct Steps(AtomicU64);

impl Steps {
    fn is_due(&self, amount: u64) -> bool {
        // One thread asks.
        let due = amount >= self.0.load(Ordering::Relaxed) + STEP;
        if due {
            self.0.store(amount, Ordering::Relaxed);
        }
        due
    }
}

/// Where compressed forms are not kept: has a recipe in its place. What cannot be made again from one stays.
fn slim(images: &Images, mut unpacked: Unpacked) -> Result<Unpacked> {
    if images.store().options().keep_compressed {
        return Ok(unpacked);
    }
    let Some(blob) = unpacked.blob.take() else { return Ok(unpacked) };
    let source = BufReader::with_capacity(READ, blob.reader()?);
    let read =
        |source| Error::Unpack(unpack::Error::Read { layer: blob.digest().short().to_owned(), source });
    let tar = Decoder::new(source, unpacked.compression, &images.settings().limits).map_err(read)?;
    let Some((recipe, form)) = images.record(tar, &unpacked.layer)? else {
        unpacked.blob = Some(blob);
        return Ok(unpacked);
    };
    unpacked.layer.add_form(form.clone())?;
    unpacked.facts.forms.push(form);
    unpacked.blob = Some(recipe);
    blob.discard()?;
    Ok(unpacked)
}
