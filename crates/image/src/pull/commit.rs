//! Making an image visible: its layers, documents and names with one sync and one transaction.
//!
//! Locks: the slots of all layers, in the order of their keys, from before the commit until after it. So each
//! fetched layer is committed by one pull, and the others see that it is.

use std::sync::Arc;

use longshore_store::{ManifestKind, NewImage, NewManifest, Prepared, Store, Target};
use longshore_types::{Digest, Reference, time};
use tokio::sync::OwnedMutexGuard;

use super::{
    LayerTicket,
    fetch::Slot,
    find::{Document, Found, platform_of, prepare_document},
};
use crate::{Error, Images, Result, labels, spawn_blocking};

impl Images {
    /// Makes everything visible, or nothing.
    pub(super) async fn commit_pull(
        &self,
        name: &Reference,
        found: &Found,
        mut tickets: Vec<LayerTicket>,
    ) -> Result<()> {
        tickets.sort_by(|one, other| one.ticket.key().cmp(other.ticket.key()));
        let mut slots = Vec::with_capacity(tickets.len());
        for ticket in &tickets {
            slots.push(Arc::clone(&ticket.landed.slot).lock_owned().await);
        }
        let (store, name, found) = (self.store().clone(), name.clone(), found.clone());
        // The tickets go along: whoever asks for one of these layers now finds it with them until it is visible.
        spawn_blocking(move || {
            let committed = commit(&store, &name, &found, slots);
            drop(tickets);
            committed
        })
        .await
    }
}

fn commit(
    store: &Store,
    name: &Reference,
    found: &Found,
    mut slots: Vec<OwnedMutexGuard<Slot>>,
) -> Result<()> {
    let mut prepared = Vec::new();
    let mut taken = Vec::new();
    for (at, slot) in slots.iter_mut().enumerate() {
        // What is taken here and not committed is gone: said so beforehand, for an early return.
        let lost = Slot::Failed(Arc::new(Error::Cancelled));
        match std::mem::replace(&mut **slot, lost) {
            Slot::Ready(unpacked) => {
                taken.push(at);
                prepared.push(Prepared::Layer(unpacked.layer));
                prepared.extend(unpacked.blob.map(Prepared::Blob));
            }
            Slot::Committed => **slot = Slot::Committed,
            Slot::Failed(error) => {
                **slot = Slot::Failed(Arc::clone(&error));
                return Err(Error::Shared(error));
            }
        }
    }
    let committed = documents(store, name, found).and_then(|documents| {
        prepared.extend(documents);
        Ok(store.commit_all(prepared)?)
    });
    match committed {
        Ok(()) => {
            for at in taken {
                *slots[at] = Slot::Committed;
            }
            Ok(())
        }
        Err(error) => {
            let error = Arc::new(error);
            for at in taken {
                *slots[at] = Slot::Failed(Arc::clone(&error));
            }
            Err(Error::Shared(error))
        }
    }
}

/// Everything but the layers.
fn documents(store: &Store, name: &Reference, found: &Found) -> Result<Vec<Prepared>> {
    let mut prepared = Vec::new();
    for document in found.documents().chain([&found.config_document]) {
        prepared.extend(prepare_document(store, document)?);
    }
    for (document, index) in &found.indexes {
        let parts = index.manifests.iter().map(|entry| (entry.digest.clone(), entry.size)).collect();
        prepared.push(Prepared::Manifest(named(document, ManifestKind::Index, None, parts)));
    }
    let image = new_image(found);
    let manifest = &found.manifest;
    let parts = [&manifest.config].into_iter().chain(&manifest.layers);
    let parts = parts.map(|part| (part.digest.clone(), part.size)).collect();
    let kind = ManifestKind::Manifest;
    let id = Some(image.id.clone());
    prepared.push(Prepared::Manifest(named(&found.manifest_document, kind, id, parts)));
    prepared.push(Prepared::Image(image));
    let digest = found.target.descriptor.digest.clone();
    if name.tag().is_some() {
        prepared.push(Prepared::Tag(name.clone(), Target::Manifest(digest.clone())));
    }
    prepared.push(Prepared::RepoDigest(name.with_digest(digest)));
    Ok(prepared)
}

fn named(
    document: &Document,
    kind: ManifestKind,
    image: Option<longshore_types::ImageId>,
    parts: Vec<(Digest, u64)>,
) -> NewManifest {
    NewManifest {
        digest: document.descriptor.digest.clone(),
        kind,
        media_type: document.descriptor.media_type.clone(),
        size: document.bytes.len() as u64,
        image,
        parts,
    }
}

fn new_image(found: &Found) -> NewImage {
    let config = &found.config;
    NewImage {
        id: found.image(),
        layers: config.rootfs.diff_ids.clone(),
        platform: platform_of(config).normalized(),
        created: config.created.as_deref().and_then(time::parse_rfc3339).map(|time| time.0),
        labels: labels::allowed(&config.config.labels),
        parent: None,
    }
}
