use axum::{Json, extract::State};
use longshore_api::{
    Version,
    df::{DiskUsage, Ledger, Usage},
    volume::UsageData,
};
use longshore_engine::{container::Phase, df, image::Library};
use longshore_types::Filters;
use serde_json::Value;

use crate::http::{
    container,
    error::Failure,
    image::{Counts, blocking, summary},
    query::Query,
    version::Requested,
    volume,
};

/// Tells what takes space.
pub(super) async fn df(
    State(library): State<Library>,
    Requested(version): Requested,
    query: Query,
) -> Result<Json<Value>, Failure> {
    let wanted = Wanted::read(&query, version)?;
    let verbose = query.flag("verbose");
    blocking(move || {
        let mut usage = DiskUsage::default();
        if wanted.images {
            usage.images = Some(images(&library, version)?);
        }
        if wanted.containers {
            usage.containers = Some(containers(&library, version)?);
        }
        if wanted.volumes {
            usage.volumes = Some(volumes(&library));
        }
        if wanted.build_cache {
            usage.build_cache = Some(Usage::default());
        }
        usage.ledger = Some(ledger(library.whole_usage()?));
        Ok(Json(usage.at(version, verbose)))
    })
    .await
}

/// What the query asks for.
struct Wanted {
    images: bool,
    containers: bool,
    volumes: bool,
    build_cache: bool,
}

impl Wanted {
    fn read(query: &Query, version: Version) -> Result<Self, Failure> {
        let is_all = version < Version(42) || query.texts("type").next().is_none();
        let mut wanted = Self { images: is_all, containers: is_all, volumes: is_all, build_cache: is_all };
        if is_all {
            return Ok(wanted);
        }
        for kind in query.texts("type") {
            match kind {
                "image" => wanted.images = true,
                "container" => wanted.containers = true,
                "volume" => wanted.volumes = true,
                "build-cache" => wanted.build_cache = true,
                _ => return Err(Failure::bad(format!("unknown object type: {kind}"))),
            }
        }
        Ok(wanted)
    }
}

fn images(library: &Library, version: Version) -> longshore_image::Result<Usage> {
    let found = library.images_usage()?;
    let counts = Counts::of(library);
    let mut usage =
        Usage { total_count: found.images.len() as u64, total_size: found.layers, ..Usage::default() };
    for image in found.images {
        let unique = image.unique();
        let shown = summary(image, &counts, true);
        if shown.containers > 0 {
            usage.active_count += 1;
        } else {
            usage.reclaimable += unique;
        }
        usage.items.push(shown.sized(version));
    }
    Ok(usage)
}

fn containers(library: &Library, version: Version) -> longshore_image::Result<Usage> {
    let found = library.containers_usage()?;
    let mut usage = Usage { total_count: found.len() as u64, ..Usage::default() };
    for df::Written { container, own, whole } in found {
        let record = container.record();
        usage.total_size += own;
        match record.state.phase {
            Phase::Running | Phase::Paused | Phase::Restarting => usage.active_count += 1,
            _ => usage.reclaimable += own,
        }
        let mut shown = container::summary(&record);
        (shown.size_rw, shown.size_root_fs) = (Some(own), Some(whole));
        usage.items.push(serde_json::to_value(shown.for_version(version)).unwrap_or_default());
    }
    Ok(usage)
}

fn volumes(library: &Library) -> Usage {
    let volumes = library.containers().volumes();
    // Without filters nothing can be wrong with them.
    let found = volumes.list(&Filters::default()).unwrap_or_default();
    let mut usage = Usage { total_count: found.len() as u64, ..Usage::default() };
    for volume in found {
        let (users, size) = (volumes.users(&volume.name).len(), volumes.size(&volume.name));
        usage.total_size += size;
        if users > 0 {
            usage.active_count += 1;
        } else {
            usage.reclaimable += size;
        }
        let mut shown = volume::shown(volumes, volume);
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        shown.usage_data = Some(UsageData { ref_count: number(users as u64), size: number(size) });
        usage.items.push(serde_json::to_value(shown).unwrap_or_default());
    }
    usage
}

fn ledger(whole: df::Whole) -> Ledger {
    let store = whole.store;
    Ledger {
        blobs: store.blobs,
        partials: store.partials,
        staged: store.staged,
        layers: store.layers,
        snapshots: store.snapshots,
        containers: whole.containers,
        trash: store.trash,
        quarantine: store.quarantine,
        metadata: store.metadata,
        unaccounted: store.unaccounted,
        unaccounted_paths: store.unaccounted_paths.iter().map(|path| path.display().to_string()).collect(),
    }
}
