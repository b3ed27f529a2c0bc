use std::{collections::BTreeMap, fs};

use axum::extract::State;
use longshore_api::system::{Commit, Discovered, IndexConfig, Info, Plugins, RegistryConfig, Runtime};
use longshore_engine::{
    container::{Containers, Phase},
    spec::{Host, cdi::Found},
};
use longshore_image::Images;
use longshore_types::Timestamp;
use serde_json::Value;

use super::version::{OWN, server_version};
use crate::{
    config::Config,
    http::{body::Json, error::Failure, version::Requested},
    system::System,
};

/// What the daemon is, has and can do.
pub(super) async fn info(
    Requested(version): Requested,
    State(system): State<System>,
    State(containers): State<Containers>,
    State(images): State<Images>,
) -> Result<Json<Value>, Failure> {
    let count = tokio::task::spawn_blocking(move || images.store().images().map(|images| images.len()));
    let images = count.await.unwrap_or(Ok(0)).unwrap_or(0);
    let phases: Vec<Phase> =
        containers.all().iter().map(|container| container.record().state.phase).collect();
    let having = |wanted: &[Phase]| phases.iter().filter(|phase| wanted.contains(phase)).count();
    let config = system.config();
    let host = containers.host()?.clone();
    let mut info = described(&system, &config);
    limits(&mut info, &host);
    let directories = config.cdi_directories();
    info.cdi_spec_dirs = directories.iter().map(|directory| directory.display().to_string()).collect();
    let found = tokio::task::spawn_blocking(move || Found::read(&directories)).await.unwrap_or_default();
    info.discovered_devices = found.names().map(Discovered::cdi).collect();
    if !found.warnings.is_empty() {
        info.warnings.get_or_insert_default().extend(found.warnings);
    }
    info.containers = phases.len();
    info.containers_running = having(&[Phase::Running, Phase::Restarting]);
    info.containers_paused = having(&[Phase::Paused]);
    info.containers_stopped = phases.len() - info.containers_running - info.containers_paused;
    info.images = images;
    info.n_fd = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    info.n_goroutines = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    info.system_time = Timestamp::now().to_string();
    let forwards = fs::read("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.starts_with(b"1"));
    info.ipv4_forwarding = forwards;
    if !forwards {
        info.warnings.get_or_insert_default().push("WARNING: IPv4 forwarding is disabled".into());
    }
    let document = info.for_version(version);
    document.map(Json).map_err(|error| Failure::of(longshore_types::Kind::Internal, error.to_string()))
}

/// What settings and host say.
fn described(system: &System, config: &Config) -> Info {
    let facts = system.facts();
    let pair = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
    let name = config.default_runtime.as_str();
    Info {
        id: facts.id.clone(),
        driver: "overlay2",
        driver_status: vec![
            pair("Backing Filesystem", facts.backing_file_system),
            pair("Supports d_type", "true"),
            pair("Using metacopy", "false"),
            pair("Native Overlay Diff", "true"),
            pair("userxattr", "false"),
        ],
        plugins: Plugins {
            volume: vec!["local"],
            network: vec!["bridge", "host", "ipvlan", "macvlan", "null"],
            authorization: None,
            log: vec!["fluentd", "gelf", "journald", "json-file", "local", "syslog"],
        },
        debug: config.debug,
        logging_driver: config.log_driver.clone(),
        cgroup_driver: "cgroupfs",
        cgroup_version: facts.cgroup_version,
        kernel_version: facts.kernel.clone(),
        operating_system: facts.operating_system.clone(),
        os_version: facts.os_version.clone(),
        os_type: "linux",
        architecture: facts.machine.clone(),
        index_server_address: "https://index.docker.io/v1/",
        registry_config: registries(config),
        cpus: facts.cpus,
        mem_total: facts.memory,
        docker_root_dir: config.data_root.display().to_string(),
        http_proxy: without_password(either(&config.http_proxy, &config.proxies.http_proxy)),
        https_proxy: without_password(either(&config.https_proxy, &config.proxies.https_proxy)),
        no_proxy: either(&config.no_proxy, &config.proxies.no_proxy).to_owned(),
        name: facts.host_name.clone(),
        labels: config.labels.clone(),
        server_version: server_version(),
        runtimes: runtimes(config),
        default_runtime: if name.is_empty() { "runc" } else { name }.to_owned(),
        live_restore_enabled: true,
        init_binary: init(config),
        runc_commit: Commit { id: OWN.into() },
        init_commit: Commit { id: OWN.into() },
        security_options: security(config, facts.cgroup_version),
        ..Info::default()
    }
}

/// The limits that the kernel can hold, and what is told of those that it cannot.
fn limits(info: &mut Info, host: &Host) {
    info.memory_limit = host.memory_limit;
    info.swap_limit = host.swap_limit;
    info.cpu_cfs_period = host.cpu_bandwidth;
    info.cpu_cfs_quota = host.cpu_bandwidth;
    info.cpu_shares = host.cpu_shares;
    info.cpu_set = host.cpuset;
    info.pids_limit = host.pids_limit;
    info.oom_kill_disable = host.oom_kill_disable;
    let warnings = [
        (host.memory_limit, "WARNING: No memory limit support"),
        (host.swap_limit, "WARNING: No swap limit support"),
        (host.cpu_bandwidth, "WARNING: No cpu cfs quota support"),
        (host.cpu_bandwidth, "WARNING: No cpu cfs period support"),
        (host.cpu_shares, "WARNING: No cpu shares support"),
        (host.cpuset, "WARNING: No cpuset support"),
    ];
    let told = warnings.into_iter().filter(|(has, _)| !has).map(|(_, warning)| warning.to_owned());
    let told: Vec<String> = told.collect();
    if !told.is_empty() {
        info.warnings.get_or_insert_default().extend(told);
    }
}

/// The name of the program that `--init` is.
fn init(config: &Config) -> String {
    let path = config.init_path.as_deref().unwrap_or("longshore-runtime".as_ref());
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Confinement of containers, as Docker words it.
fn security(config: &Config, cgroup_version: &str) -> Vec<String> {
    let profile = match config.seccomp_profile.as_str() {
        "" | "builtin" => "builtin",
        other => other,
    };
    let mut options = Vec::new();
    if fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y")) {
        options.push("name=apparmor".to_owned());
    }
    options.push(format!("name=seccomp,profile={profile}"));
    if cgroup_version == "2" {
        options.push("name=cgroupns".to_owned());
    }
    if config.no_new_privileges {
        options.push("name=no-new-privileges".to_owned());
    }
    options
}

fn runtimes(config: &Config) -> BTreeMap<String, Runtime> {
    let others = config.runtimes.iter().map(|(name, runtime)| {
        (name.clone(), Runtime { path: runtime.path.clone(), runtime_args: runtime.args.clone() })
    });
    let own = ["io.containerd.runc.v2", "longshore", "runc"].into_iter();
    let own =
        own.map(|name| (name.to_owned(), Runtime { path: "longshore-runtime".into(), ..Runtime::default() }));
    own.chain(others).collect()
}

fn registries(config: &Config) -> RegistryConfig {
    let (mut networks, hosts): (Vec<String>, Vec<String>) =
        config.insecure_registries.iter().cloned().partition(|registry| registry.contains('/'));
    networks.extend(["::1/128".to_owned(), "127.0.0.0/8".to_owned()]);
    // As Docker shows them: with a slash at the end.
    let own = config.registry_mirrors.iter().map(|mirror| format!("{}/", mirror.trim_end_matches('/')));
    let own: Vec<String> = own.collect();
    let index = |name: String, secure, official| {
        let mirrors = if official { own.clone() } else { Vec::new() };
        (name.clone(), IndexConfig { name, mirrors, secure, official })
    };
    let mut index_configs: BTreeMap<_, _> = hosts.into_iter().map(|host| index(host, false, false)).collect();
    index_configs.extend([index("docker.io".into(), true, true)]);
    RegistryConfig { insecure_registry_cidrs: networks, index_configs, mirrors: own.clone() }
}

fn either<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.is_empty() { second } else { first }
}

/// A proxy's address, with what identifies its user hidden.
fn without_password(proxy: &str) -> String {
    let Some((scheme, rest)) = proxy.split_once("://") else { return proxy.to_owned() };
    match rest.split_once('@') {
        Some((_, host)) => format!("{scheme}://xxxxx:xxxxx@{host}"),
        None => proxy.to_owned(),
    }
}
