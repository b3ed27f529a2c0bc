//! `push`: an image that is here, to a registry.
//!
//! ```text
//! plan ─▶ manifests with their original bytes, and their blobs     (`plan.rs`)
//!            │ for each blob, several at once: is it there? mount it? send it      (`blob.rs`)
//!            ▼
//! put the manifests, the index last, under the tag
//! ```
//!
//! What was pulled is pushed as the bytes that came, so its digest stays the same. A layer that was made here has no
//! compressed form until now: it gets one, which is kept (`made.rs`).

mod blob;
mod made;
mod plan;

use blob::Pushing;
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_registry::{Credentials, Repository};
use longshore_store::{Prepared, Target};
use longshore_types::{Digest, Platform, Progress, ProgressEvent, Reference, Status, oci::Descriptor};
use plan::Plan;

use crate::{Error, Images, Result};

/// What of a name is pushed, and as whom.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// Of an index: only the image for this platform.
    pub platform: Option<Platform>,
    pub credentials: Credentials,
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    pub name: Reference,
    /// Of the manifest or index that the tag stands for in the registry now.
    pub digest: Digest,
    /// Bytes of it.
    pub size: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Images {
    /// Pushes one tag; without a tag, `latest`.
    pub async fn push(
        &self,
        name: &Reference,
        options: &PushOptions,
        progress: &dyn Progress,
    ) -> Result<Pushed> {
        if name.digest().is_some() {
            return Err(Error::PushByDigest);
        }
        let name = name.clone().with_default_tag();
        let repository = self.registry().repository(&name, options.credentials.clone())?;
        progress.report(ProgressEvent::of_all(Status::PushRefersTo { repository: name.repository() }));
        let target = self.pushed_target(&name).await?;
        self.push_tag(&repository, &name, target, options, progress).await
    }

    /// Pushes all tags of a repository.
    pub async fn push_all(
        &self,
        name: &Reference,
        options: &PushOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Pushed>> {
        let name = name.without_version();
        let tags = {
            let repository = name.repository();
            let tags = self.blocking(move |store| Ok(store.tags()?)).await?;
            tags.into_iter().filter(|tag| tag.name.repository() == repository).collect::<Vec<_>>()
        };
        let repository = self.registry().repository(&name, options.credentials.clone())?;
        progress.report(ProgressEvent::of_all(Status::PushRefersTo { repository: name.repository() }));
        if tags.is_empty() {
            return Err(Error::NoTagToPush { name: name.familiar() });
        }
        let mut pushed = Vec::new();
        for tag in tags {
            pushed.push(self.push_tag(&repository, &tag.name, tag.target, options, progress).await?);
        }
        Ok(pushed)
    }

    /// What the tag stands for here.
    async fn pushed_target(&self, name: &Reference) -> Result<Target> {
        let name = name.clone();
        self.blocking(move |store| {
            if let Some(target) = store.tagged(&name)? {
                return Ok(target);
            }
            let repository = name.repository();
            let has_others = store.tags()?.iter().any(|tag| tag.name.repository() == repository);
            Err(if has_others {
                Error::NoSuchTag { name: name.familiar() }
            } else {
                Error::NoTagToPush { name: name.familiar_repository() }
            })
        })
        .await
    }

    async fn push_tag(
        &self,
        repository: &Repository,
        name: &Reference,
        target: Target,
        options: &PushOptions,
        progress: &dyn Progress,
    ) -> Result<Pushed> {
        let mut plan = self.plan_push(target, options).await?;
        for layer in plan.layers() {
            progress.report(ProgressEvent::new(layer.id(), Status::Preparing));
        }
        let tag = name.tag().unwrap_or("latest").to_owned();
        let there = self.is_there(repository, &tag, &plan).await?;
        if there {
            for layer in plan.layers() {
                progress.report(ProgressEvent::new(layer.id(), Status::LayerAlreadyExists));
            }
        } else {
            self.complete(repository, &mut plan, progress).await?;
            let credentials = &options.credentials;
            let pushing = Pushing { images: self, repository, credentials, progress };
            let blobs = plan.blobs();
            // Collected, since a task of the runtime cannot hold the closure.
            let sending: Vec<_> = blobs.iter().map(|blob| pushing.blob(blob)).collect();
            stream::iter(sending)
                .buffer_unordered(self.settings().max_concurrent_uploads.max(1))
                .try_collect::<()>()
                .await?;
            for document in plan.below() {
                let digest = document.descriptor.digest.to_string();
                repository
                    .put_manifest(&digest, &document.descriptor.media_type, document.bytes.clone())
                    .await?;
            }
        }
        let target = plan.target();
        let (digest, size) = (target.descriptor.digest.clone(), target.bytes.len() as u64);
        repository.put_manifest(&tag, &target.descriptor.media_type, target.bytes.clone()).await?;
        self.record_push(name.with_digest(digest.clone())).await?;
        progress.report(ProgressEvent::of_all(Status::PushedAs { tag, digest: digest.to_string(), size }));
        Ok(Pushed { name: name.clone(), digest, size, warnings: plan.warnings })
    }

    /// Whether the tag stands for the same thing there: then all that it names is there too.
    async fn is_there(&self, repository: &Repository, tag: &str, plan: &Plan) -> Result<bool> {
        if !self.has_been_pushed(repository, plan).await? {
            return Ok(false);
        }
        match repository.head(tag).await {
            Ok(found) => Ok(found.is_some_and(|found| found.digest == plan.target().descriptor.digest)),
            Err(error) if error.kind() == longshore_types::Kind::NotFound => Ok(false),
            // A push may be allowed where a pull is not: let the push itself say.
            Err(error) if error.kind() == longshore_types::Kind::PermissionDenied => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn has_been_pushed(&self, repository: &Repository, plan: &Plan) -> Result<bool> {
        let name = repository.name().with_digest(plan.target().descriptor.digest.clone());
        self.blocking(move |store| Ok(store.has_repo_digest(&name)?)).await
    }

    async fn record_push(&self, name: Reference) -> Result<()> {
        self.blocking(move |store| {
            if store.has_repo_digest(&name)? {
                return Ok(());
            }
            Ok(store.commit_all(vec![Prepared::RepoDigest(name)])?)
        })
        .await
    }

    /// Takes from an index what is not here and not there either, or says that it cannot be pushed.
    async fn complete(
        &self,
        repository: &Repository,
        plan: &mut Plan,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut absent: Vec<Descriptor> = Vec::new();
        for entry in plan.missing() {
            match repository.head(entry.digest.as_str()).await {
                Ok(Some(found)) if found.digest == entry.digest => {}
                Ok(_) => absent.push(entry.clone()),
                Err(error) if error.kind() == longshore_types::Kind::NotFound => absent.push(entry.clone()),
                Err(error) => return Err(error.into()),
            }
        }
        if absent.is_empty() {
            return Ok(());
        }
        if let Some(note) = plan.reduce(&absent)? {
            progress.report(ProgressEvent::of_all(Status::Note { text: note }));
        }
        Ok(())
    }
}
