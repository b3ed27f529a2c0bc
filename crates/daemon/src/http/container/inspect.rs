use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use longshore_api::container::{GraphDriver, Inspect, NetworkSettings, State as WireState};
use longshore_engine::{
    container::{Container, Containers, Phase, Record},
    exec::Execs,
    network::at_rest,
};
use longshore_types::container::{Config, EndpointSettings, HostConfig, NetworkingConfig};
use serde_json::Value;

use super::super::{body::Json, error::Failure, query::Query, version::Requested};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/containers/{id}/json", get(inspect))
}

async fn inspect(
    State(containers): State<Containers>,
    State(execs): State<Execs>,
    Path(id): Path<String>,
    Requested(version): Requested,
    query: Query,
) -> Result<Json<Value>, Failure> {
    let container = containers.find(&id)?;
    let mut document = document(&containers, &container);
    let running = execs.of(&container);
    document.exec_ids = (!running.is_empty()).then_some(running);
    if query.flag("size") {
        let size = containers.size(&container, Duration::ZERO).await?;
        document.size_rw = Some(size.own);
        document.size_root_fs = Some(size.whole);
    }
    let document = document.for_version(version);
    let failed = |error: serde_json::Error| Failure::of(longshore_types::Kind::Internal, error.to_string());
    Ok(Json(document.map_err(failed)?))
}

fn document(containers: &Containers, container: &Container) -> Inspect {
    let record = container.record();
    let file = |name: &str| container.data_dir().join(name).display().to_string();
    let mut words = record.command().into_iter().map(str::to_owned);
    let path = words.next().unwrap_or_default();
    let log = match record.host.log_config.kind.as_str() {
        "" | "json-file" => file(&format!("{}-json.log", record.id)),
        _ => String::new(),
    };
    let snapshot = containers.settings().data_root.join("snapshots").join(record.snapshot.to_string());
    let below = |name: &str| snapshot.join(name).display().to_string();
    let data = [("UpperDir", below("upper")), ("WorkDir", below("work")), ("ID", record.id.to_string())];
    Inspect {
        id: record.id.to_string(),
        created: record.created,
        path,
        args: words.collect(),
        state: state(&record),
        image: record.image.id.to_string(),
        resolv_conf_path: file("resolv.conf"),
        hostname_path: file("hostname"),
        hosts_path: file("hosts"),
        log_path: log,
        name: format!("/{}", record.name),
        restart_count: record.state.restart_count,
        driver: "overlay2".into(),
        platform: record.image.platform.os.clone(),
        mount_label: String::new(),
        process_label: String::new(),
        app_armor_profile: String::new(),
        exec_ids: None,
        host_config: HostConfig { links: containers.links(&record), ..record.host.clone() },
        graph_driver: GraphDriver {
            name: "overlay2".into(),
            data: data.map(|(key, value)| (key.into(), value)).into(),
        },
        size_rw: None,
        size_root_fs: None,
        mounts: record.mounts.clone(),
        config: Config { mac_address: desired_mac(&record), ..record.config.clone() },
        network_settings: network_settings(containers, &record),
    }
}

/// The MAC address that was asked for, of the network that its mode names.
fn desired_mac(record: &Record) -> String {
    let endpoints = record.networking.endpoints_config.as_ref();
    let endpoint = endpoints.and_then(|all| all.get(&record.host.network_mode)?.as_ref());
    endpoint.map_or_else(|| record.config.mac_address.clone(), |own| at_rest(own).mac_address)
}

fn network_settings(containers: &Containers, record: &Record) -> NetworkSettings {
    let key = containers.networks().sandbox_key(record.id.as_str());
    let is_bound = record.state.phase.has_processes() && key.exists();
    NetworkSettings {
        sandbox_id: if is_bound { record.id.to_string() } else { String::new() },
        sandbox_key: if is_bound { key.display().to_string() } else { String::new() },
        ports: record.ports.clone(),
        networks: networks(&record.networking),
    }
}

/// The networks, without those of which nothing is known.
pub(super) fn networks(
    networking: &NetworkingConfig,
) -> std::collections::BTreeMap<String, EndpointSettings> {
    let endpoints = networking.endpoints_config.iter().flatten();
    endpoints.map(|(name, endpoint)| (name.clone(), endpoint.clone().unwrap_or_default())).collect()
}

fn state(record: &Record) -> WireState {
    let state = &record.state;
    WireState {
        status: state.phase.name().into(),
        running: state.phase.is_up(),
        paused: state.phase == Phase::Paused,
        restarting: state.phase == Phase::Restarting,
        oom_killed: state.oom_killed,
        dead: state.phase == Phase::Dead,
        pid: state.pid,
        exit_code: state.exit_code,
        error: state.error.clone(),
        started_at: state.started_at,
        finished_at: state.finished_at,
        health: record.health.as_ref().and_then(|health| serde_json::to_value(health).ok()),
    }
}
