use std::path::PathBuf;

use longshore_runtime::{
    cgroup::{self, Driver},
    plan,
    spec::{NamespaceKind, Spec, User},
};
use longshore_types::{
    ContainerId, ImageId, Platform, Timestamp,
    container::{Config, HostConfig, Mount, MountType, NetworkingConfig, Ulimit},
    oci::ContainerConfig,
};

use super::{EtcPaths, Host, Inputs, Joins, NetworkNamespace, ResolvedMount, Settings};
use crate::container::Record;

/// A host that can do everything.
pub(crate) fn host() -> Host {
    Host { capabilities: (1 << 41) - 1, kernel: (6, 1), apparmor: false, ..Host::probe().unwrap() }
}

pub(crate) fn record(config: Config, host_config: HostConfig) -> Record {
    let (mut config, mut host_config) = (config, host_config);
    let image = ContainerConfig { cmd: Some(vec!["/bin/x".into()]), ..ContainerConfig::default() };
    super::defaults(&mut config, &mut host_config, &image, &Settings::default(), &host()).unwrap();
    let id = ContainerId::new("0123456789abcdef".repeat(4)).unwrap();
    super::hostname(&mut config, &host_config, &id);
    // As it would be read, so that what is added to a record needs nothing here.
    let text = serde_json::json!({
        "id": id,
        "name": "n",
        "created": Timestamp::NEVER,
        "image": { "id": ImageId(longshore_types::Digest::of(b"")), "platform": Platform::default(), "layers": [] },
        "config": config,
        "host": host_config,
        "networking": NetworkingConfig::default(),
        "mounts": [],
        "snapshot": 1,
        "state": {},
    });
    serde_json::from_value(text).unwrap()
}

fn inputs(settings: &Settings) -> Inputs<'_> {
    Inputs {
        settings,
        root: PathBuf::from("/"),
        network: NetworkNamespace::New,
        joins: Joins::default(),
        mounts: Vec::new(),
        etc: EtcPaths::default(),
        shm: None,
        user: User { additional_gids: vec![0], ..User::default() },
        init: None,
    }
}

/// The spec, which the runtime takes too.
fn build(host_config: HostConfig) -> Spec {
    let settings = Settings::default();
    build_with(Config::default(), host_config, &inputs(&settings))
}

fn build_with(config: Config, host_config: HostConfig, inputs: &Inputs<'_>) -> Spec {
    let record = record(config, host_config);
    let spec = super::build(&record, &host(), inputs).unwrap();
    let options = plan::Options {
        id: record.id.clone(),
        cgroup_driver: Driver::Cgroupfs,
        no_pivot: false,
        no_new_keyring: false,
        preserve_fds: 0,
        rootless: false,
    };
    let layout = cgroup::Layout::detect().unwrap();
    plan::plan(&spec, std::path::Path::new("/"), &options, &layout).unwrap();
    spec
}

fn options<'a>(spec: &'a Spec, destination: &str) -> Vec<&'a str> {
    let mount = spec.mounts.iter().find(|mount| mount.destination == destination);
    mount.into_iter().flat_map(|mount| &mount.options).map(String::as_str).collect()
}

#[test]
fn who_asks_for_nothing_is_who_the_runtime_makes() {
    use longshore_runtime::defaults::identity;
    let host = host();
    let identity_host =
        identity::Host { time_namespaces: host.time_namespaces, unified_cgroups: host.unified() };
    let wanted = identity::spec("/", &["/bin/x"], identity_host);
    let spec = build(HostConfig::default());
    let (found, wanted_linux) = (spec.linux.unwrap(), wanted.linux.unwrap());
    assert_eq!(found.masked_paths, wanted_linux.masked_paths);
    assert_eq!(found.readonly_paths, wanted_linux.readonly_paths);
    assert_eq!(found.sysctl, wanted_linux.sysctl);
    assert_eq!(found.seccomp, wanted_linux.seccomp);
    assert_eq!(found.resources, wanted_linux.resources);
    let kinds = |list: &[longshore_runtime::spec::Namespace]| {
        let mut kinds: Vec<NamespaceKind> = list.iter().map(|namespace| namespace.kind).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&found.namespaces), kinds(&wanted_linux.namespaces));
    assert_eq!(spec.mounts, wanted.mounts);
    let (process, wanted) = (spec.process.unwrap(), wanted.process.unwrap());
    assert_eq!(process.capabilities, wanted.capabilities);
    assert_eq!(process.user, wanted.user);
    assert_eq!(process.env, [super::PATH, "HOSTNAME=0123456789ab"]);
    assert_eq!(spec.hostname, "0123456789ab");
}

#[test]
fn privileged() {
    let spec = build(HostConfig { privileged: true, ..HostConfig::default() });
    assert!(!options(&spec, "/sys").contains(&"ro") && !options(&spec, "/sys/fs/cgroup").contains(&"ro"));
    let linux = spec.linux.unwrap();
    assert!(linux.masked_paths.is_empty() && linux.readonly_paths.is_empty() && linux.seccomp.is_none());
    assert!(linux.devices.len() > 5);
    assert_eq!(spec.process.unwrap().capabilities.unwrap().bounding.len(), 41);
}

#[test]
fn a_root_that_is_read_only() {
    let tmpfs = Some([("/t".to_owned(), String::new())].into());
    let spec = build(HostConfig { readonly_rootfs: true, tmpfs, ..HostConfig::default() });
    assert!(spec.root.as_ref().unwrap().readonly);
    assert!(!options(&spec, "/dev/shm").contains(&"ro") && !options(&spec, "/t").contains(&"ro"));
    assert!(options(&spec, "/sys").contains(&"ro"));
}

#[test]
fn shared_namespaces() {
    let has = |spec: &Spec, kind| spec.linux.as_ref().unwrap().namespaces.iter().any(|n| n.kind == kind);
    let spec = build(HostConfig {
        pid_mode: "host".into(),
        ipc_mode: "host".into(),
        uts_mode: "host".into(),
        ..HostConfig::default()
    });
    for kind in [NamespaceKind::Pid, NamespaceKind::Ipc, NamespaceKind::Uts] {
        assert!(!has(&spec, kind), "{kind:?}");
    }
    assert!(spec.hostname.is_empty());
    assert_eq!(options(&spec, "/dev/shm"), ["rbind", "rprivate"]);
    let settings = Settings::default();
    let joins = Joins { pid: Some("/proc/1/ns/pid".into()), ipc: None };
    let inputs = Inputs { joins, ..inputs(&settings) };
    let spec = build_with(
        Config::default(),
        HostConfig { pid_mode: "container:a".into(), ..HostConfig::default() },
        &inputs,
    );
    let pid = spec.linux.unwrap().namespaces.into_iter().find(|n| n.kind == NamespaceKind::Pid).unwrap();
    assert_eq!(pid.path, "/proc/1/ns/pid");
    let not_there = HostConfig { ipc_mode: "container:gone".into(), ..HostConfig::default() };
    let error = super::build(&record(Config::default(), not_there), &host(), &inputs).unwrap_err();
    assert_eq!(error.to_string(), "failed to join IPC namespace: container gone is not running");
}

#[test]
fn no_ipc_has_no_shared_memory() {
    let spec = build(HostConfig { ipc_mode: "none".into(), ..HostConfig::default() });
    assert!(!spec.mounts.iter().any(|mount| mount.destination == "/dev/shm"));
}

#[test]
fn own_mounts_come_by_depth_and_hide_the_defaults() {
    let settings = Settings::default();
    let mount = |destination: &str, writable| ResolvedMount {
        destination: destination.into(),
        source: "/tmp".into(),
        writable,
        ..ResolvedMount::default()
    };
    let inputs = Inputs {
        mounts: vec![
            mount("/a/b", true),
            mount("/a", false),
            mount("/dev/shm", true),
            mount("/etc/hosts", true),
        ],
        etc: EtcPaths { hosts: Some("/h".into()), resolv_conf: Some("/r".into()), hostname: None },
        ..inputs(&settings)
    };
    let spec = build_with(Config::default(), HostConfig::default(), &inputs);
    let place = |destination: &str| {
        let mut found = spec.mounts.iter().enumerate().filter(|(_, mount)| mount.destination == destination);
        let (index, mount) = found.next().unwrap();
        assert!(found.next().is_none(), "{destination} comes once");
        (index, mount)
    };
    assert!(place("/a").0 < place("/a/b").0);
    assert_eq!(place("/a").1.options, ["rbind", "rro", "rprivate"]);
    assert_eq!(place("/dev/shm").1.source, "/tmp");
    assert_eq!(
        (place("/etc/hosts").1.source.as_str(), place("/etc/resolv.conf").1.source.as_str()),
        ("/tmp", "/r")
    );
}

#[test]
fn propagation_of_the_root() {
    let settings = Settings::default();
    for (mode, root) in [("rshared", "shared"), ("slave", "rslave"), ("private", "")] {
        let mount = ResolvedMount {
            destination: "/a".into(),
            source: "/".into(),
            propagation: mode.into(),
            ..ResolvedMount::default()
        };
        let inputs = Inputs { mounts: vec![mount], ..inputs(&settings) };
        let spec = build_with(Config::default(), HostConfig::default(), &inputs);
        assert_eq!(spec.linux.unwrap().rootfs_propagation, root);
    }
}

#[test]
fn an_init_is_the_first_process() {
    let settings = Settings::default();
    let inputs = Inputs { init: Some("/i".into()), ..inputs(&settings) };
    let with = |pid_mode: &str| {
        let host = HostConfig { init: Some(true), pid_mode: pid_mode.into(), ..HostConfig::default() };
        build_with(Config::default(), host, &inputs).process.unwrap().args
    };
    assert_eq!(with(""), [super::INIT, "--", "/bin/x"]);
    assert_eq!(with("host"), ["/bin/x"]);
}

#[test]
fn limits_of_the_daemon_and_of_the_container() {
    let ulimit = |name: &str, soft| Ulimit { name: name.into(), soft, hard: -1 };
    let settings = Settings {
        ulimits: [("nofile", 5), ("nproc", 6)].map(|(name, soft)| (name.into(), ulimit(name, soft))).into(),
        ..Settings::default()
    };
    let mut host = HostConfig::default();
    host.resources.ulimits = Some(vec![ulimit("nofile", 7)]);
    let spec = build_with(Config::default(), host, &inputs(&settings));
    let limits = spec.process.unwrap().rlimits;
    let of =
        |kind: &str| limits.iter().find(|limit| limit.kind == kind).map(|limit| (limit.soft, limit.hard));
    assert_eq!(of("RLIMIT_NOFILE"), Some((7, u64::MAX)));
    assert_eq!(of("RLIMIT_NPROC"), Some((6, u64::MAX)));
}

#[test]
fn a_tmpfs_of_the_mounts() {
    let mount = Mount { kind: MountType::Tmpfs, target: "/t/".into(), read_only: true, ..Mount::default() };
    let spec = build(HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() });
    assert_eq!(options(&spec, "/t"), ["noexec", "nosuid", "nodev", "rprivate", "ro"]);
}

#[test]
fn sysctls_by_either_separator() {
    let sysctls = Some([("net/ipv4/ping_group_range".to_owned(), "5 5".to_owned())].into());
    let spec = build(HostConfig { sysctls, ..HostConfig::default() });
    let sysctls = spec.linux.unwrap().sysctl;
    assert_eq!(sysctls.len(), 2);
    assert_eq!(sysctls["net/ipv4/ping_group_range"], "5 5");
}

#[test]
fn places_of_cgroups() {
    let id = ContainerId::new("x").unwrap();
    let path = |parent: &str, settings: &Settings| super::cgroups_path(&id, parent, settings);
    let mut settings = Settings::default();
    assert_eq!(path("", &settings), "/longshore/x");
    assert_eq!(path("/a/", &settings), "/a/x");
    assert_eq!(path("a", &settings), "a/x");
    settings.cgroup_driver = Driver::Systemd;
    assert_eq!(path("", &settings), "system.slice:longshore:x");
    assert_eq!(path("a.slice", &settings), "a.slice:longshore:x");
}
