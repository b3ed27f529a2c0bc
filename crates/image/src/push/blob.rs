//! One blob of a push: found there, mounted from a neighbour, or sent.

use std::{
    fs::File,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use longshore_registry::{Credentials, FileSource, Repository};
use longshore_store::{ManifestKind, Store};
use longshore_types::{
    Digest, Progress, ProgressEvent, Reference, Status,
    oci::{Descriptor, MAX_INDEX_DEPTH},
};
use tokio::time::Instant;

use super::plan::{Blob, Layer};
use crate::{Error, Images, Result, spawn_blocking, unpack};

/// Repositories that are asked for a blob, at most.
const NEIGHBOURS: usize = 3;
/// How often the amount is reported.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether a manifest, or one that an index names, has the blob.
fn names(store: &Store, digest: &Digest, blob: &Digest, depth: usize) -> Result<bool> {
    let Some(manifest) = store.manifest(digest)? else { return Ok(false) };
    if manifest.kind == ManifestKind::Manifest {
        return Ok(manifest.parts.iter().any(|(part, _)| part == blob));
    }
    for (part, _) in &manifest.parts {
        if depth < MAX_INDEX_DEPTH && names(store, part, blob, depth + 1)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A push that is under way.
#[derive(Clone, Copy)]
pub(super) struct Pushing<'a> {
    pub(super) images: &'a Images,
    pub(super) repository: &'a Repository,
    pub(super) credentials: &'a Credentials,
    pub(super) progress: &'a dyn Progress,
}

impl Pushing<'_> {
    /// Makes sure that the registry has the blob.
    pub(super) async fn blob(self, blob: &Blob) -> Result<()> {
        let descriptor = blob.descriptor();
        if self.repository.has_blob(descriptor).await? {
            self.say(blob, Status::LayerAlreadyExists);
            return Ok(());
        }
        let holders = match blob {
            Blob::Layer(layer) => self.holders(layer).await?,
            Blob::Config(_) => Vec::new(),
        };
        let own = self.repository.name();
        for other in holders.iter().filter(|other| other.domain() == own.domain() && *other != own) {
            if self.repository.mount_blob(&descriptor.digest, other).await? {
                self.say(blob, Status::MountedFrom { repository: other.path().to_owned() });
                return Ok(());
            }
        }
        let file = match self.content(&descriptor.digest).await? {
            Some(file) => file,
            None => self.fetch_again(descriptor, &holders).await?,
        };
        self.send(blob, file).await?;
        self.say(blob, Status::Pushed);
        Ok(())
    }

    /// The words are for layers; Docker says nothing of configurations.
    fn say(self, blob: &Blob, status: Status) {
        if let Blob::Layer(layer) = blob {
            self.progress.report(ProgressEvent::new(layer.id(), status));
        }
    }

    /// Repositories that a manifest with this blob was pulled from or pushed to.
    async fn holders(self, layer: &Layer) -> Result<Vec<Reference>> {
        let (diff_id, blob) = (layer.diff_id.clone(), layer.descriptor.digest.clone());
        let find = move |store: &Store| {
            let mut found: Vec<Reference> = Vec::new();
            for image in store.images_with_layer(&diff_id)? {
                for name in store.repo_digests(&image)? {
                    let repository = name.without_version();
                    let has_it = match name.digest() {
                        Some(digest) if !found.contains(&repository) => names(store, digest, &blob, 0)?,
                        _ => false,
                    };
                    if has_it {
                        found.push(repository);
                    }
                }
            }
            Ok(found)
        };
        let mut found = self.images.blocking(find).await?;
        found.truncate(NEIGHBOURS);
        Ok(found)
    }

    /// A blob that is here.
    async fn content(self, digest: &Digest) -> Result<Option<File>> {
        let digest = digest.clone();
        let open = move |store: &Store| match store.blob(&digest) {
            Ok(file) => Ok(Some(file)),
            Err(longshore_store::Error::NoSuchBlob { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        };
        self.images.blocking(open).await
    }

    /// Fetches a blob that was dropped after unpacking, or never came because its layer was here already.
    async fn fetch_again(self, descriptor: &Descriptor, holders: &[Reference]) -> Result<File> {
        for source in holders {
            match self.fetch_from(descriptor, source).await {
                Ok(file) => return Ok(file),
                Err(error) => tracing::warn!(error = error.line(), %source, "asking the next repository"),
            }
        }
        Err(Error::NoBlob { digest: descriptor.digest.clone() })
    }

    async fn fetch_from(self, descriptor: &Descriptor, source: &Reference) -> Result<File> {
        // What a caller gave is for the registry that it pushes to.
        let is_own = source.domain() == self.repository.name().domain();
        let credentials = match self.credentials {
            Credentials::Given(_) if !is_own => Credentials::Anonymous,
            credentials => credentials.clone(),
        };
        let repository = self.images.registry().repository(source, credentials)?;
        let (digest, size) = (descriptor.digest.clone(), descriptor.size);
        let mut ingest = self.images.blocking(move |store| Ok(store.ingest(&digest, size)?)).await?;
        let mut blob = repository.blob(descriptor, ingest.offset())?;
        while let Some(piece) = blob.next().await? {
            let layer = descriptor.digest.short().to_owned();
            ingest = spawn_blocking(move || {
                let written = ingest.write_all(&piece);
                written.map_err(|source| unpack::Error::Keep { layer, source })?;
                Ok(ingest)
            })
            .await?;
        }
        let digest = descriptor.digest.clone();
        self.images
            .blocking(move |store| {
                ingest.commit()?;
                Ok(store.blob(&digest)?)
            })
            .await
    }

    async fn send(self, blob: &Blob, file: File) -> Result<()> {
        let descriptor = blob.descriptor();
        let total = descriptor.size;
        let sent = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&sent);
        let source = FileSource::new(file);
        let progress = Arc::new(move |bytes| told.store(bytes, Ordering::Relaxed));
        let mut upload = std::pin::pin!(self.repository.upload_blob(descriptor, &source, progress));
        let mut shown = 0;
        loop {
            tokio::select! {
                done = &mut upload => {
                    done?;
                    self.say(blob, Status::Pushing { current: total, total });
                    return Ok(());
                }
                () = tokio::time::sleep_until(Instant::now() + PAUSE) => {
                    let current = sent.load(Ordering::Relaxed);
                    if current != shown {
                        shown = current;
                        self.say(blob, Status::Pushing { current, total });
                    }
                }
            }
        }
    }
}
