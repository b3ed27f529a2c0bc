//! SIGHUP: the file of settings is read again, and what may change while the daemon runs does.

use std::collections::BTreeMap;

use longshore_engine::event::Object;
use sd_notify::NotifyState;

use crate::{
    app::App,
    config::{Config, Read},
    log::Level,
};

/// Reads the file again. Settings that are wrong change nothing.
pub(crate) fn reload(settings: &Read, app: &App, level: &Level) {
    let mut states = vec![NotifyState::Reloading];
    states.extend(NotifyState::monotonic_usec_now().ok());
    crate::notify(&states);
    match settings.again() {
        Ok(read) => {
            if let Err(error) = apply(read, app, level) {
                tracing::error!("settings stay as they are: {error:#}");
            }
        }
        Err(error) => tracing::error!("settings stay as they are: {}", longshore_engine::line(&error)),
    }
    crate::notify(&[NotifyState::Ready]);
}

fn apply(read: Read, app: &App, level: &Level) -> anyhow::Result<()> {
    for warning in &read.warnings {
        tracing::warn!("{warning}");
    }
    let before = app.system.config();
    let new = read.config;
    let config = Config {
        debug: new.debug,
        labels: new.labels,
        live_restore: new.live_restore,
        shutdown_timeout: new.shutdown_timeout,
        default_stop_timeout: new.default_stop_timeout,
        max_concurrent_downloads: new.max_concurrent_downloads,
        max_concurrent_uploads: new.max_concurrent_uploads,
        max_download_attempts: new.max_download_attempts,
        insecure_registries: new.insecure_registries,
        registry_mirrors: new.registry_mirrors,
        default_runtime: new.default_runtime,
        runtimes: new.runtimes,
        default_shm_size: new.default_shm_size,
        default_ipc_mode: new.default_ipc_mode,
        default_cgroupns_mode: new.default_cgroupns_mode,
        features: new.features,
        ..(*before).clone()
    };
    // What can fail comes first.
    let (registry, containers) = (longshore_registry::Client::new(config.registry())?, config.containers()?);
    level.set(&config);
    app.images.reload(registry, config.images());
    app.containers.reload(containers);
    let attributes = attributes(&config, &app.system.facts().host_name);
    app.system.reload(config);
    let id = app.system.facts().id.clone();
    app.events.publish(Object::Daemon, "reload", id, attributes);
    tracing::info!("settings were read again");
    Ok(())
}

/// What Docker's event says: the settings that a reload may change.
fn attributes(config: &Config, host_name: &str) -> BTreeMap<String, String> {
    let list = |items: &[String]| serde_json::to_string(items).unwrap_or_default();
    let runtimes = config.runtimes.iter().map(|(name, runtime)| format!("{name}:{}", runtime.path));
    let runtimes: Vec<String> = runtimes.collect();
    let pairs = [
        ("debug", config.debug.to_string()),
        ("default-cgroupns-mode", config.default_cgroupns_mode.clone()),
        ("default-ipc-mode", config.default_ipc_mode.clone()),
        ("default-runtime", config.default_runtime.clone()),
        ("insecure-registries", list(&config.insecure_registries)),
        ("labels", list(&config.labels)),
        ("live-restore", config.live_restore.to_string()),
        ("max-concurrent-downloads", config.max_concurrent_downloads.to_string()),
        ("max-concurrent-uploads", config.max_concurrent_uploads.to_string()),
        ("max-download-attempts", config.max_download_attempts.to_string()),
        ("name", host_name.to_owned()),
        ("registry-mirrors", list(&config.registry_mirrors)),
        ("runtimes", runtimes.join(" ")),
        ("shutdown-timeout", config.shutdown_timeout.to_string()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
