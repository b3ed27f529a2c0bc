//! What nobody said: filled in from the image, then as Docker does. `inspect` shows it.

use std::collections::BTreeMap;

use longshore_runtime::defaults::identity;
use longshore_types::{
    ContainerId,
    container::{Config, Empty, HealthConfig, HostConfig, PortMap},
    oci::ContainerConfig,
};

use super::{Error, Host, Settings, process::variable};

/// Merges the image's configuration and fills in defaults.
///
/// # Errors
/// [`Error::NoCommand`] when neither says what to execute.
pub fn defaults(
    config: &mut Config,
    host_config: &mut HostConfig,
    image: &ContainerConfig,
    settings: &Settings,
    host: &Host,
) -> Result<(), Error> {
    merge(config, image);
    // An empty word takes the image's entrypoint away.
    if config.entrypoint.as_deref() == Some(&[String::new()]) {
        config.entrypoint = None;
    }
    let empty = |words: &Option<Vec<String>>| words.as_ref().is_none_or(Vec::is_empty);
    if empty(&config.entrypoint) && empty(&config.cmd) {
        return Err(Error::NoCommand);
    }
    fill(host_config, settings, host);
    Ok(())
}

/// The hostname of a container that has none: that of the host, or the beginning of its ID.
pub fn hostname(config: &mut Config, host_config: &HostConfig, id: &ContainerId) {
    if config.hostname.is_empty() {
        config.hostname = if host_config.network_mode == "host" {
            let name = rustix::system::uname();
            name.nodename().to_string_lossy().into_owned()
        } else {
            id.as_str().chars().take(12).collect()
        };
    }
}

fn merge(config: &mut Config, image: &ContainerConfig) {
    if config.user.is_empty() {
        config.user.clone_from(&image.user);
    }
    let keys = |map: &BTreeMap<String, _>| map.keys().map(|key| (key.clone(), Empty {})).collect::<Vec<_>>();
    let ports = keys(&image.exposed_ports);
    if !ports.is_empty() {
        config.exposed_ports.get_or_insert_default().extend(ports);
    }
    environment(config, image);
    let labels = config.labels.get_or_insert_default();
    for (label, value) in &image.labels {
        labels.entry(label.clone()).or_insert_with(|| value.clone());
    }
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd.clone_from(&image.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&image.entrypoint);
        }
    }
    health(config, image);
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&image.working_dir);
    }
    let volumes = keys(&image.volumes);
    if volumes.is_empty() {
        config.volumes = config.volumes.take().filter(|volumes| !volumes.is_empty());
    } else {
        config.volumes.get_or_insert_default().extend(volumes);
    }
    if config.stop_signal.is_empty() {
        config.stop_signal.clone_from(&image.stop_signal);
    }
    if config.shell.is_none() {
        config.shell.clone_from(&image.shell);
    }
    if config.on_build.is_none() && !image.on_build.is_empty() {
        config.on_build = Some(image.on_build.clone());
    }
}

/// Those of the image that the container does not name, after its own.
fn environment(config: &mut Config, image: &ContainerConfig) {
    let own = config.env.take().unwrap_or_default();
    let more: Vec<String> = image
        .env
        .iter()
        .filter(|pair| !own.iter().any(|other| variable(other) == variable(pair)))
        .cloned()
        .collect();
    config.env = Some(own.into_iter().chain(more).collect());
}

fn health(config: &mut Config, image: &ContainerConfig) {
    let Some(image) = &image.healthcheck else { return };
    let health = config.healthcheck.get_or_insert_with(HealthConfig::default);
    if health.test.as_ref().is_none_or(Vec::is_empty) {
        health.test = Some(image.test.clone());
    }
    for (own, image) in [
        (&mut health.interval, image.interval),
        (&mut health.timeout, image.timeout),
        (&mut health.start_period, image.start_period),
        (&mut health.start_interval, image.start_interval),
        (&mut health.retries, image.retries),
    ] {
        if *own == 0 {
            *own = image;
        }
    }
}

fn fill(config: &mut HostConfig, settings: &Settings, host: &Host) {
    let set = |word: &mut String, default: &str| {
        if word.is_empty() {
            default.clone_into(word);
        }
    };
    set(&mut config.restart_policy.name, "no");
    if matches!(config.network_mode.as_str(), "" | "default") {
        config.network_mode = "bridge".into();
    }
    config.port_bindings.get_or_insert_with(PortMap::new);
    let resources = &mut config.resources;
    if resources.memory > 0 && resources.memory_swap == 0 {
        resources.memory_swap = resources.memory.saturating_mul(2);
    }
    if resources.oom_kill_disable.is_none() && host.oom_kill_disable {
        resources.oom_kill_disable = Some(false);
    }
    if config.shm_size == 0 {
        config.shm_size = settings.shm_size;
    }
    set(&mut config.ipc_mode, &settings.ipc_mode);
    let cgroup = match settings.cgroupns_mode.as_str() {
        _ if config.privileged && !host.unified() => "host",
        "" if host.unified() => "private",
        "" => "host",
        mode => mode,
    };
    set(&mut config.cgroupns_mode, cgroup);
    set(&mut config.runtime, &settings.default_runtime);
    if config.log_config.kind.is_empty() {
        config.log_config.kind.clone_from(&settings.log.kind);
    }
    // Those of the daemon are for its own driver.
    if config.log_config.kind == settings.log.kind {
        let own = config.log_config.config.get_or_insert_default();
        for (key, value) in settings.log.config.iter().flatten() {
            own.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    config.log_config.config.get_or_insert_default();
    if !config.privileged {
        let identity = identity::spec("/", &[], identity::Host::default()).linux.unwrap_or_default();
        config.masked_paths.get_or_insert(identity.masked_paths);
        config.readonly_paths.get_or_insert(identity.readonly_paths);
    }
}

#[cfg(test)]
mod tests {
    use longshore_types::{
        container::{Config, HostConfig},
        oci::ContainerConfig,
    };

    use super::defaults;
    use crate::spec::{Error, Settings, tests::host};

    fn words(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|word| (*word).to_owned()).collect())
    }

    fn filled(mut config: Config, image: &ContainerConfig) -> (Config, HostConfig) {
        let mut host_config = HostConfig::default();
        defaults(&mut config, &mut host_config, image, &Settings::default(), &host()).unwrap();
        (config, host_config)
    }

    #[test]
    fn commands() {
        let image =
            ContainerConfig { cmd: words(&["c"]), entrypoint: words(&["e"]), ..ContainerConfig::default() };
        for (entrypoint, cmd, merged_entrypoint, merged_cmd) in [
            (None, None, words(&["e"]), words(&["c"])),
            (None, words(&["x"]), words(&["e"]), words(&["x"])),
            (words(&["x"]), None, words(&["x"]), None),
            (words(&[""]), words(&["x"]), None, words(&["x"])),
            (words(&[]), None, words(&[]), words(&["c"])),
        ] {
            let (config, _) = filled(Config { entrypoint, cmd, ..Config::default() }, &image);
            assert_eq!((config.entrypoint, config.cmd), (merged_entrypoint, merged_cmd));
        }
        let (mut config, mut host_config) = (Config::default(), HostConfig::default());
        let none = ContainerConfig::default();
        let error = defaults(&mut config, &mut host_config, &none, &Settings::default(), &host());
        assert!(matches!(error, Err(Error::NoCommand)));
    }

    #[test]
    fn what_the_image_adds() {
        let image = ContainerConfig {
            cmd: words(&["c"]),
            env: vec!["A=1".into(), "B=1".into()],
            labels: [("l".into(), "image".into()), ("m".into(), "image".into())].into(),
            exposed_ports: [("80/tcp".into(), serde_json::json!({}))].into(),
            working_dir: "/w".into(),
            ..ContainerConfig::default()
        };
        let own = Config {
            env: words(&["B=2", "C"]),
            labels: Some([("l".into(), "own".into())].into()),
            ..Config::default()
        };
        let (config, _) = filled(own, &image);
        assert_eq!(config.env, words(&["B=2", "C", "A=1"]));
        let labels = config.labels.unwrap();
        assert_eq!((labels["l"].as_str(), labels["m"].as_str()), ("own", "image"));
        assert!(config.exposed_ports.unwrap().contains_key("80/tcp"));
        assert_eq!(config.working_dir, "/w");
        assert_eq!(config.volumes, None);
    }

    #[test]
    fn what_docker_fills_in() {
        let image = ContainerConfig { cmd: words(&["c"]), ..ContainerConfig::default() };
        let (_, host) = filled(Config::default(), &image);
        assert_eq!((host.network_mode.as_str(), host.ipc_mode.as_str()), ("bridge", "private"));
        assert_eq!((host.shm_size, host.runtime.as_str()), (64 << 20, "runc"));
        assert_eq!((host.restart_policy.name.as_str(), host.log_config.kind.as_str()), ("no", "json-file"));
        assert!(host.masked_paths.unwrap().contains(&"/proc/kcore".to_owned()));
    }
}
