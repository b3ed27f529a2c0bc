//! `pull`: from a name to an image that is here.
//!
//! ```text
//! find ─▶ index? manifest, configuration      (`find.rs`; what is here is not fetched)
//!            │ for each layer that is not here, once for everybody
//!            ▼
//! fetch: download ─▶ channel ─▶ unpack        (`fetch.rs`, `channel.rs`, `crate::unpack`)
//!            ▼
//! commit: layers, blobs, manifests, image, tag: all or nothing      (`commit.rs`)
//! ```
//!
//! What was fetched and is not visible yet belongs to the layer's flight (`crate::flight`): several pulls may wait
//! for it, and the first that has all its layers makes them visible.

mod all;
mod channel;
mod commit;
mod fetch;
mod find;
mod stage;

use futures_util::future::try_join_all;
use longshore_registry::{Credentials, Repository};
use longshore_store::{Lease, Life, Resource, Target};
use longshore_types::{
    Digest, ImageId, Matcher, Platform, Progress, ProgressEvent, Reference, Status, oci::Descriptor,
};

pub(crate) use fetch::{Landed, LayerKey};
use find::Found;
pub(crate) use find::{Document, local_document};
pub(crate) use stage::Stage;

use crate::{Error, Images, Result, flight::Ticket};

/// What of a name is pulled, and as whom.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// The platform to take of an index; the service's own if there is none.
    pub platform: Option<Platform>,
    pub credentials: Credentials,
}

/// An image that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The name, with its tag or its digest.
    pub name: Reference,
    /// Of the manifest or index that the name stands for.
    pub digest: Digest,
    pub image: ImageId,
    /// Whether anything changed: the image is new, or the name stood for something else.
    pub newer: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Images {
    /// Pulls what `name` stands for; without tag and digest, the tag `latest`.
    ///
    /// Dropping the future stops the pull. What other pulls wait for goes on.
    pub async fn pull(
        &self,
        name: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Pulled> {
        // As Docker: with a digest, a tag says nothing.
        let name = match name.digest() {
            Some(digest) => name.with_digest(digest.clone()),
            None => name.clone().with_default_tag(),
        };
        let repository = self.registry().repository(&name, options.credentials.clone())?;
        let pulled = self.pull_version(&repository, &name, options, progress).await?;
        progress.report(ProgressEvent::of_all(if pulled.newer {
            Status::NewerImage { image: name.familiar() }
        } else {
            Status::UpToDate { image: name.familiar() }
        }));
        Ok(pulled)
    }

    /// Pulls one tag or digest, all but the last line.
    async fn pull_version(
        &self,
        repository: &Repository,
        name: &Reference,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<Pulled> {
        let settings = self.settings();
        let wanted = options.platform.as_ref().unwrap_or(&settings.platform);
        let target = self.find_target(repository, name).await?;
        progress.report(ProgressEvent::new(
            name.tag().map_or_else(|| name.familiar(), str::to_owned),
            Status::PullingFrom { repository: name.path().to_owned() },
        ));
        let found = self.find_image(repository, target, &Matcher::new(wanted)).await?;
        let mut warnings = Vec::new();
        if Matcher::new(wanted).rank(&found.platform()).is_none() {
            let text = format!(
                "WARNING: the requested image's platform ({}) does not match the wanted platform ({wanted})",
                found.platform().normalized(),
            );
            progress.report(ProgressEvent::of_all(Status::Note { text: text.clone() }));
            warnings.push(text);
        }
        let mut newer = false;
        if !self.is_known(name, &found).await? {
            newer = true;
            let held = self.hold(name, &found).await?;
            let done = self.pull_image(repository, name, &found, progress).await;
            held.release().await;
            done?;
        }
        let digest = found.target.descriptor.digest.clone();
        progress.report(ProgressEvent::of_all(Status::Digest { digest: digest.to_string() }));
        Ok(Pulled { name: name.clone(), digest, image: found.image(), newer, warnings })
    }

    /// Keeps what is here and will be relied on from being collected meanwhile.
    async fn hold(&self, name: &Reference, found: &Found) -> Result<Held> {
        let owner = format!("pull of {}", name.familiar());
        let documents = found.documents().chain([&found.config_document]);
        let blobs = documents.map(|document| &document.descriptor).chain(&found.manifest.layers);
        let blobs = blobs.map(|descriptor| Resource::Blob(descriptor.digest.clone()));
        let layers = found.config.rootfs.diff_ids.iter().cloned().map(Resource::Layer);
        let resources: Vec<_> = blobs.chain(layers).collect();
        self.blocking(move |store| {
            let lease = store.lease(&owner, Life::Process)?;
            lease.add_all(resources)?;
            Ok(Held(Some(lease)))
        })
        .await
    }

    /// Whether there is nothing to do.
    async fn is_known(&self, name: &Reference, found: &Found) -> Result<bool> {
        let (name, image) = (name.clone(), found.image());
        let documents: Vec<Digest> =
            found.documents().map(|document| document.descriptor.digest.clone()).collect();
        let target = found.target.descriptor.digest.clone();
        self.blocking(move |store| {
            let Some(image) = store.image(&image)? else { return Ok(false) };
            if image.state != longshore_store::State::Complete {
                return Ok(false);
            }
            for digest in &documents {
                if store.manifest(digest)?.is_none() {
                    return Ok(false);
                }
            }
            let repo_digest = name.with_digest(target.clone());
            if name.tag().is_some() && store.tagged(&name)? != Some(Target::Manifest(target)) {
                return Ok(false);
            }
            Ok(store.repo_digests(&image.id)?.contains(&repo_digest))
        })
        .await
    }

    /// Fetches what is missing and makes it visible.
    async fn pull_image(
        &self,
        repository: &Repository,
        name: &Reference,
        found: &Found,
        progress: &dyn Progress,
    ) -> Result<()> {
        let image = found.image();
        let is_here = self.blocking(move |store| Ok(store.image(&image)?.is_some())).await?;
        let mut missing: Vec<(LayerKey, Descriptor)> = Vec::new();
        for (descriptor, diff_id) in found.manifest.layers.iter().zip(&found.config.rootfs.diff_ids) {
            let key = LayerKey { blob: descriptor.digest.clone(), diff_id: diff_id.clone() };
            if missing.iter().any(|(other, _)| *other == key) {
                continue;
            }
            let id = descriptor.digest.short();
            let here = diff_id.clone();
            if self.blocking(move |store| Ok(store.layer(&here)?.is_some())).await? {
                // As Docker: of an image that is here already, layers are not spoken of.
                if !is_here {
                    progress.report(ProgressEvent::new(id, Status::AlreadyExists));
                }
                continue;
            }
            progress.report(ProgressEvent::new(id, Status::PullingFsLayer));
            missing.push((key, descriptor.clone()));
        }
        let fetched =
            missing.iter().map(|(key, descriptor)| self.layer(repository, key, descriptor, progress));
        let tickets = match try_join_all(fetched).await {
            Ok(tickets) => tickets,
            Err(error) => {
                // The other layers stop now. What they had made is gone when the error is seen.
                for (key, _) in &missing {
                    self.flights().settled(key).await;
                }
                return Err(error);
            }
        };
        self.commit_pull(name, found, tickets).await
    }

    /// Waits until a layer is fetched and unpacked, by whomever.
    async fn layer(
        &self,
        repository: &Repository,
        key: &LayerKey,
        descriptor: &Descriptor,
        progress: &dyn Progress,
    ) -> Result<LayerTicket> {
        let mut tried = false;
        loop {
            let work = |pilot| {
                fetch::fetch(self.clone(), pilot, repository.clone(), key.clone(), descriptor.clone())
            };
            let mut ticket = self.flights().join(key, work).await;
            let first = ticket.first;
            match stage::watch(&mut ticket, descriptor, progress).await {
                Ok(landed) => return Ok(LayerTicket { ticket, landed }),
                // It failed for somebody else, who may be somebody else to the registry too.
                Err(_) if !first && !tried => tried = true,
                Err(error) => return Err(error),
            }
        }
    }
}

/// A layer that has been fetched, and keeps what was.
pub(crate) struct LayerTicket {
    ticket: Ticket<LayerKey, Stage, std::sync::Arc<Landed>>,
    landed: std::sync::Arc<Landed>,
}

/// A lease that is given back where that may block: when the pull ends, or behind the back of one that was dropped.
struct Held(Option<Lease>);

impl Held {
    async fn release(mut self) {
        let lease = self.0.take();
        // It fails with its runtime only, and then the lease is dropped too.
        tokio::task::spawn_blocking(move || drop(lease)).await.ok();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(lease) = self.0.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(lease)));
        }
    }
}

/// The error of a pull that was cancelled; nobody gets to see it.
pub(crate) const CANCELLED: Error = Error::Cancelled;
