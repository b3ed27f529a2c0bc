use std::collections::BTreeMap;

use axum::{Json, extract::State};
use longshore_api::{
    Version,
    image::{AttestationData, ImageData, ManifestKind, ManifestSize, ManifestSummary, Summary, Unpacked},
};
use longshore_engine::image::Library;
use longshore_image::{Filters, ListOptions, ManifestState};
use serde_json::Value;

use super::{Failure, blocking};
use crate::http::{query::Query, version::Requested};

/// Lists images.
pub(super) async fn list(
    State(library): State<Library>,
    Requested(version): Requested,
    query: Query,
) -> Result<Json<Vec<Value>>, Failure> {
    let mut filters = parse_filters(&query)?;
    if version < Version(25)
        && filters.get("reference").is_empty()
        && let Some(pattern) = query.word("filter")
    {
        filters.add("reference", pattern);
    }
    let manifests = version >= Version(47) && query.flag("manifests");
    if version >= Version(54) && query.flag("identity") && !manifests {
        return Err(Failure::bad("conflicting options: identity requires manifests=1"));
    }
    let shared = version >= Version(42) && query.flag("shared-size");
    let options = ListOptions { all: query.flag("all"), filters, manifests };
    blocking(move || {
        let found = library.images().list(&options)?;
        let counts = Counts::of(&library);
        let shown = found.into_iter().map(|image| summary(image, &counts, shared).at(version));
        Ok(Json(shown.collect()))
    })
    .await
}

/// What `filters` says, as images read it.
pub(super) fn parse_filters(query: &Query) -> Result<Filters, Failure> {
    let filters = Filters::parse(query.text("filters").unwrap_or_default());
    filters.map_err(|error| super::failure(&error.into()))
}

/// The containers of each image.
#[derive(Debug)]
pub(in crate::http) struct Counts(BTreeMap<String, Vec<String>>);

impl Counts {
    /// Counts them now.
    pub(in crate::http) fn of(library: &Library) -> Self {
        let mut counts = BTreeMap::<_, Vec<_>>::new();
        for container in library.containers().all() {
            let record = container.record();
            counts.entry(record.image.id.to_string()).or_default().push(record.id.to_string());
        }
        Self(counts)
    }

    fn users(&self, image: &str) -> Vec<String> {
        self.0.get(image).cloned().unwrap_or_default()
    }
}

/// An image as it is shown in a list.
pub(in crate::http) fn summary(image: longshore_image::Summary, counts: &Counts, shared: bool) -> Summary {
    let id = image.id.to_string();
    let number = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    let manifests = image.manifests.into_iter().map(|one| manifest(one, counts)).collect::<Vec<_>>();
    Summary {
        containers: number(counts.users(&id).len() as u64),
        created: image.created.unwrap_or(0),
        id,
        labels: Some(image.labels).filter(|labels| !labels.is_empty()),
        parent_id: image.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        descriptor: image.descriptor,
        manifests: Some(manifests).filter(|manifests| !manifests.is_empty()),
        repo_digests: image.digests.iter().map(longshore_types::Reference::familiar).collect(),
        repo_tags: image.tags.iter().map(longshore_types::Reference::familiar).collect(),
        shared_size: if shared { number(image.shared) } else { -1 },
        size: image.size,
    }
}

/// One manifest of an image as it is shown.
pub(super) fn manifest(manifest: longshore_image::ManifestSummary, counts: &Counts) -> ManifestSummary {
    let total = manifest.total();
    let (mut image_data, mut attestation_data) = (None, None);
    let kind = match manifest.kind {
        ManifestState::Image { platform, image } => {
            let containers = image.map(|image| counts.users(&image.to_string())).unwrap_or_default();
            let size = Unpacked { unpacked: manifest.unpacked };
            image_data = Some(ImageData { platform, containers, size });
            ManifestKind::Image
        }
        ManifestState::Attestation { about } => {
            let about = about.map(|digest| digest.to_string()).unwrap_or_default();
            attestation_data = Some(AttestationData { about });
            ManifestKind::Attestation
        }
        ManifestState::Unknown => ManifestKind::Unknown,
    };
    ManifestSummary {
        id: manifest.descriptor.digest.to_string(),
        descriptor: manifest.descriptor,
        available: manifest.available,
        size: ManifestSize { content: manifest.content, total },
        kind,
        image_data,
        attestation_data,
    }
}
