use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use longshore_api::{
    Version,
    image::{DriverData, Inspect, Metadata, RootFs},
};
use longshore_engine::image::Library;
use longshore_image::Details;
use longshore_types::{Reference, time};
use serde_json::{Map, Value, json};

use super::{
    Failure, blocking,
    list::{Counts, manifest},
    platform,
};
use crate::http::{query::Query, version::Requested};

/// Tells all of an image.
pub(super) async fn inspect(
    State(library): State<Library>,
    Path(name): Path<String>,
    Requested(version): Requested,
    query: Query,
) -> Result<Json<Value>, Failure> {
    let manifests = version >= Version(48) && query.flag("manifests");
    let platform = if version >= Version(49) { platform::one(&query)? } else { None };
    if manifests && platform.is_some() {
        let message = "conflicting options: manifests and platform options cannot both be set";
        return Err(Failure::bad(message));
    }
    blocking(move || {
        let details = library.images().inspect(&name, platform.as_ref())?;
        let mut document = shown(&details);
        if manifests {
            let counts = Counts::of(&library);
            document.manifests =
                Some(details.manifests.into_iter().map(|one| manifest(one, &counts)).collect());
        }
        Ok(Json(document.at(version)))
    })
    .await
}

fn shown(details: &Details) -> Inspect {
    let config = &details.config;
    let never = || "0001-01-01T00:00:00Z".to_owned();
    let own = match serde_json::to_value(&config.config) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    Inspect {
        id: details.id.to_string(),
        repo_tags: details.tags.iter().map(Reference::familiar).collect(),
        repo_digests: details.digests.iter().map(Reference::familiar).collect(),
        parent: details.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        comment: details.comment().to_owned(),
        created: config.created.clone(),
        container: details.container().to_owned(),
        container_config: details.container_config().cloned().unwrap_or_else(no_container),
        docker_version: details.docker_version().to_owned(),
        author: config.author.clone(),
        config: own,
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
        os: config.os.clone(),
        os_version: config.os_version.clone(),
        size: details.sizes.total,
        graph_driver: driver(details),
        root_fs: RootFs {
            kind: "layers".into(),
            layers: details.layers.iter().map(|layer| layer.diff_id.to_string()).collect(),
        },
        metadata: Metadata {
            last_tag_time: details.last_tagged.map_or_else(never, |seconds| time::rfc3339((seconds, 0))),
        },
        descriptor: details.descriptor.clone(),
        manifests: None,
    }
}

/// The configuration of no container.
fn no_container() -> Value {
    serde_json::to_value(longshore_types::container::Config::default()).unwrap_or_else(|_| json!({}))
}

/// Where the layers are: the uppermost and those below it, as overlayfs has them.
fn driver(details: &Details) -> DriverData {
    let mut dirs = details.layers.iter().rev().filter_map(|layer| layer.dir.as_deref());
    let mut data = BTreeMap::new();
    if let Some(upper) = dirs.next() {
        data.insert("UpperDir".to_owned(), upper.display().to_string());
        if let Some(above) = upper.parent() {
            data.insert("MergedDir".to_owned(), above.join("merged").display().to_string());
            data.insert("WorkDir".to_owned(), above.join("work").display().to_string());
        }
    }
    let lower = dirs.map(|dir| dir.display().to_string()).collect::<Vec<_>>();
    if !lower.is_empty() {
        data.insert("LowerDir".to_owned(), lower.join(":"));
    }
    DriverData { data, name: "overlay2".into() }
}
