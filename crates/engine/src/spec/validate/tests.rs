use longshore_types::container::{
    Config, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig, Mount, MountType,
    NetworkingConfig, PortBinding, Resources, RestartPolicy, ThrottleDevice, Ulimit,
};

use super::{config::signal, validate, validate_update};
use crate::spec::{Host, Settings, tests::host};

fn check(config: Config, host_config: HostConfig) -> Result<Vec<String>, String> {
    check_on(&host(), config, host_config)
}

fn check_on(host: &Host, mut config: Config, mut host_config: HostConfig) -> Result<Vec<String>, String> {
    let networking = NetworkingConfig::default();
    let settings = Settings::default();
    validate(&mut config, &mut host_config, &networking, &settings, host).map_err(|error| error.to_string())
}

fn refused(config: Config, host_config: HostConfig, message: &str) {
    assert_eq!(check(config, host_config), Err(message.to_owned()));
}

fn list(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn nothing_is_fine() {
    let host = Host { ipv4_forwarding: true, ..host() };
    assert_eq!(check_on(&host, Config::default(), HostConfig::default()), Ok(Vec::new()));
}

#[test]
fn configs() {
    let config = Config::default;
    let health = |health| Config { healthcheck: Some(health), ..config() };
    let none = HealthConfig::default;
    for (config, message) in [
        (
            Config { working_dir: "x".into(), ..config() },
            "the working directory 'x' is invalid, it needs to be an absolute path",
        ),
        (Config { stop_signal: "SIGFISH".into(), ..config() }, "invalid signal: SIGFISH"),
        (Config { stop_signal: "0".into(), ..config() }, "invalid signal: 0"),
        (Config { env: list(&["=a"]), ..config() }, "invalid environment variable: =a"),
        (Config { env: list(&[""]), ..config() }, "invalid environment variable: "),
        (Config { env: list(&["A=\0"]), ..config() }, "Env has a NUL byte"),
        (Config { cmd: list(&["a\0"]), ..config() }, "Cmd has a NUL byte"),
        (health(HealthConfig { interval: 1, ..none() }), "Interval in Healthcheck cannot be less than 1ms"),
        (health(HealthConfig { timeout: -1, ..none() }), "Timeout in Healthcheck cannot be less than 1ms"),
        (health(HealthConfig { retries: -1, ..none() }), "Retries in Healthcheck cannot be negative"),
        (
            health(HealthConfig { start_interval: 5, ..none() }),
            "StartInterval in Healthcheck cannot be less than 1ms",
        ),
        (
            Config { exposed_ports: Some([("0/tcp".into(), Default::default())].into()), ..config() },
            "invalid port specification: \"0/tcp\"",
        ),
        (
            Config { volumes: Some([("a".into(), Default::default())].into()), ..config() },
            "invalid volume specification: 'a'",
        ),
        (
            Config { hostname: "a\nb".into(), ..config() },
            "invalid hostname \"a\\nb\": control characters are not allowed",
        ),
    ] {
        refused(config, HostConfig::default(), message);
    }
    let long = "h".repeat(10_000);
    let message = format!("hostname {long:?} is too long (maximum 64 bytes)");
    refused(Config { hostname: long, ..config() }, HostConfig::default(), &message);
    // An environment may have line breaks, as in Docker.
    check(Config { env: list(&["A=1\n2"]), ..config() }, HostConfig::default()).unwrap();
}

#[test]
fn directories_become_clean() {
    let mut config = Config { working_dir: "/a/../b//c/".into(), ..Config::default() };
    let none = NetworkingConfig::default();
    validate(&mut config, &mut HostConfig::default(), &none, &Settings::default(), &host()).unwrap();
    assert_eq!(config.working_dir, "/b/c");
}

#[test]
fn signals() {
    for (word, number) in [
        ("9", Some(9)),
        ("SIGTERM", Some(15)),
        ("term", Some(15)),
        ("sigusr1", Some(10)),
        ("RTMIN+3", Some(37)),
        ("SIGRTMAX-14", Some(50)),
        ("RTMIN", Some(34)),
        ("RTMIN+16", None),
        ("65", None),
        ("-9", None),
        ("", None),
        ("SIG", None),
    ] {
        assert_eq!(signal(word), number, "{word}");
    }
}

#[test]
fn modes() {
    let network = |mode: &str| HostConfig { network_mode: mode.into(), ..HostConfig::default() };
    let named = || Config { hostname: "h".into(), ..Config::default() };
    let shared = || network("container:a");
    let conflict = "conflicting options: ";
    refused(named(), shared(), &format!("{conflict}hostname and the network mode"));
    refused(
        named(),
        HostConfig { uts_mode: "host".into(), ..HostConfig::default() },
        &format!("{conflict}hostname and the UTS mode"),
    );
    for (host, message) in [
        (
            network("container:"),
            "invalid network mode: invalid container format container:<name|id>".to_owned(),
        ),
        (HostConfig { dns: list(&["1.1.1.1"]), ..shared() }, format!("{conflict}dns and the network mode")),
        (
            HostConfig { extra_hosts: list(&["a:1.1.1.1"]), ..shared() },
            format!("{conflict}custom host-to-IP mapping and the network mode"),
        ),
        (
            HostConfig { publish_all_ports: true, ..shared() },
            format!("{conflict}port publishing and the container type network mode"),
        ),
        (
            HostConfig { links: list(&["a"]), ..network("host") },
            format!(
                "{conflict}host type networking can't be used with links. This would result in undefined behavior"
            ),
        ),
        (HostConfig { ipc_mode: "x".into(), ..HostConfig::default() }, "invalid IPC mode: x".into()),
        (
            HostConfig { pid_mode: "container:".into(), ..HostConfig::default() },
            "invalid PID mode: container:".into(),
        ),
        (HostConfig { uts_mode: "x".into(), ..HostConfig::default() }, "invalid UTS mode: x".into()),
        (
            HostConfig { cgroupns_mode: "x".into(), ..HostConfig::default() },
            "invalid cgroup namespace mode: x".into(),
        ),
        (
            HostConfig { isolation: "hyperv".into(), ..HostConfig::default() },
            "invalid isolation (hyperv): linux only supports 'default'".into(),
        ),
    ] {
        refused(Config::default(), host, &message);
    }
}

#[test]
fn restart_policies() {
    let with = |name: &str, maximum_retry_count, auto_remove| HostConfig {
        restart_policy: RestartPolicy { name: name.into(), maximum_retry_count },
        auto_remove,
        ..HostConfig::default()
    };
    let only = "invalid restart policy: maximum retry count can only be used with 'on-failure'";
    for (host, message) in [
        (with("always", 0, true), "can't create 'AutoRemove' container with restart policy".to_owned()),
        (with("always", 1, false), only.to_owned()),
        (with("no", -1, false), format!("{only} and cannot be negative")),
        (with("on-failure", -1, false), "invalid restart policy: maximum retry count cannot be negative".into()),
        (
            with("x", 0, false),
            "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'".into(),
        ),
    ] {
        refused(Config::default(), host, &message);
    }
    for host in [with("on-failure", 5, false), with("", 7, true), with("on-unhealthy", 0, false)] {
        check(Config::default(), host).unwrap();
    }
}

#[test]
fn words_that_become_lines() {
    let none = HostConfig::default;
    for (host, message) in [
        (HostConfig { extra_hosts: list(&["a"]), ..none() }, "bad format for add-host: \"a\""),
        (HostConfig { extra_hosts: list(&[":1.1.1.1"]), ..none() }, "bad format for add-host: \":1.1.1.1\""),
        (
            HostConfig { extra_hosts: list(&["a\n2.2.2.2 b:1.1.1.1"]), ..none() },
            "bad format for add-host: \"a\\n2.2.2.2 b:1.1.1.1\"",
        ),
        (
            HostConfig { extra_hosts: list(&["a:1.1.1.1\n2.2.2.2 b"]), ..none() },
            "invalid IP address in add-host: \"1.1.1.1\\n2.2.2.2 b\"",
        ),
        (HostConfig { dns: list(&[";rm"]), ..none() }, "invalid IP address: ;rm"),
        (HostConfig { dns_search: list(&["a\nb"]), ..none() }, "invalid domain \"a\\nb\" in dns-search"),
        (HostConfig { dns_options: list(&["a b"]), ..none() }, "invalid dns option \"a b\""),
        (HostConfig { group_add: list(&[""]), ..none() }, "invalid group \"\""),
    ] {
        refused(Config::default(), host, message);
    }
    let good = HostConfig {
        extra_hosts: list(&["a:::1", "b:host-gateway", "c:[::1]"]),
        dns: list(&["fe80::1%eth0", "1.1.1.1"]),
        dns_search: list(&["."]),
        ..none()
    };
    check(Config::default(), good).unwrap();
}

#[test]
fn ports() {
    let with = |port: &str, host_port: &str| HostConfig {
        port_bindings: Some(
            [(
                port.into(),
                Some(vec![PortBinding { host_port: host_port.into(), ..PortBinding::default() }]),
            )]
            .into(),
        ),
        ..HostConfig::default()
    };
    for (port, host_port, named) in [
        ("0/tcp", "", "0/tcp"),
        ("80/fish", "", "80/fish"),
        ("80/tcp", "99999", "99999"),
        ("80/tcp", "2-1", "2-1"),
    ] {
        refused(Config::default(), with(port, host_port), &format!("invalid port specification: {named:?}"));
    }
    for (port, why) in
        [("x", "invalid syntax"), ("19039;1230", "invalid syntax"), ("65536", "value out of range")]
    {
        let message = format!("invalid JSON: invalid port '{port}': {why}");
        refused(Config::default(), with(port, ""), &message);
    }
    for (port, host_port) in [("80/tcp", ""), ("80", "8080"), ("80/sctp", "8000-8010"), ("1/udp", "0")] {
        check(Config::default(), with(port, host_port)).unwrap();
    }
}

#[test]
fn limits() {
    let with = |change: fn(&mut Resources)| {
        let mut host = HostConfig::default();
        change(&mut host.resources);
        host
    };
    type Case = (fn(&mut Resources), &'static str);
    let cases: [Case; 19] = [
        (|r| r.memory = 1, "Minimum memory limit allowed is 6MB"),
        (|r| r.memory = -1, "Minimum memory limit allowed is 6MB"),
        (
            |r| (r.memory, r.memory_swap) = (8 << 20, 7 << 20),
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            |r| r.memory_swap = 8 << 20,
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (|r| r.memory_swappiness = Some(101), "Invalid value: 101, valid memory swappiness range is 0-100"),
        (|r| r.memory_reservation = 1, "Minimum memory reservation allowed is 6MB"),
        (
            |r| (r.memory, r.memory_reservation) = (8 << 20, 9 << 20),
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            |r| (r.nano_cpus, r.cpu_period) = (1, 1000),
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            |r| (r.nano_cpus, r.cpu_quota) = (1, 1000),
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (|r| r.nano_cpus = -1, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
        (
            |r| r.nano_cpus = 3_000_000_000,
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        ),
        (
            |r| r.cpu_period = 999,
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (|r| r.cpu_quota = 999, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (|r| r.cpu_shares = -1, "invalid CPU shares (-1): value must be a positive integer"),
        (
            |r| r.cpuset_cpus = "0-9".into(),
            "Requested CPUs are not available - requested 0-9, available: 0-1",
        ),
        (|r| r.cpuset_mems = "x".into(), "Invalid value x for cpuset mems"),
        (|r| r.blkio_weight = 5, "Range of blkio weight is from 10 to 1000"),
        (
            |r| r.io_maximum_iops = 1,
            "invalid option: QoS maximum IOPs configuration is not supported on linux",
        ),
        (|r| r.cpu_realtime_period = 1, "kernel does not support CPU real-time scheduler"),
    ];
    let host = Host {
        cpus: 2,
        cpuset_cpus: "0-1".into(),
        cpuset_mems: "0".into(),
        cpu_realtime: false,
        memory_swappiness: true,
        blkio_weight: true,
        swap_limit: true,
        ..host()
    };
    for (change, message) in cases {
        assert_eq!(check_on(&host, Config::default(), with(change)), Err(message.to_owned()));
    }
    let mut update = with(|r| r.memory_swap = 8 << 20);
    validate_update(&mut update, &host).unwrap();
}

#[test]
fn limits_that_the_kernel_does_not_know_are_taken_away() {
    let host = Host {
        memory_limit: false,
        pids_limit: false,
        blkio_throttle: false,
        cpuset: false,
        ipv4_forwarding: true,
        ..host()
    };
    let mut config = HostConfig::default();
    config.resources.memory = 8 << 20;
    config.resources.pids_limit = Some(5);
    config.resources.cpuset_cpus = "0".into();
    config.resources.blkio_device_read_bps = Some(vec![ThrottleDevice::default()]);
    let none = NetworkingConfig::default();
    let warnings = validate(&mut Config::default(), &mut config, &none, &Settings::default(), &host).unwrap();
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    let resources = config.resources;
    assert_eq!((resources.memory, resources.memory_swap, resources.pids_limit), (0, -1, None));
    assert!(resources.cpuset_cpus.is_empty() && resources.blkio_device_read_bps.unwrap().is_empty());
}

#[test]
fn what_else_a_host_refuses() {
    let none = HostConfig::default;
    let parent = |parent: &str| {
        let mut host = none();
        host.resources.cgroup_parent = parent.into();
        host
    };
    let mut ulimit = none();
    ulimit.resources.ulimits = Some(vec![Ulimit { name: "fish".into(), soft: 1, hard: 1 }]);
    let mut rule = none();
    rule.resources.device_cgroup_rules = list(&["c 1 rwm"]);
    for (host, message) in [
        (HostConfig { cap_add: list(&["x"]), ..none() }, "invalid CapAdd: unknown capability: \"CAP_X\""),
        (HostConfig { cap_drop: list(&["x"]), ..none() }, "invalid CapDrop: unknown capability: \"CAP_X\""),
        (HostConfig { shm_size: -1, ..none() }, "SHM size can not be less than 0"),
        (
            HostConfig { oom_score_adj: 2000, ..none() },
            "Invalid value 2000, range for oom score adj is [-1000, 1000]",
        ),
        (HostConfig { runtime: "fish".into(), ..none() }, "unknown or invalid runtime name: fish"),
        (
            HostConfig { annotations: Some([(String::new(), "x".into())].into()), ..none() },
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ),
        (HostConfig { security_opt: list(&["x"]), ..none() }, "invalid --security-opt 1: \"x\""),
        (
            HostConfig { sysctls: Some([("vm.swappiness".into(), "1".into())].into()), ..none() },
            "sysctl 'vm.swappiness=1' is not whitelisted",
        ),
        (
            HostConfig { tmpfs: Some([("/x".into(), "suit".into())].into()), ..none() },
            "invalid tmpfs option \"suit\"",
        ),
        (
            HostConfig { tmpfs: Some([("/".into(), String::new())].into()), ..none() },
            "invalid specification: destination can't be '/'",
        ),
        (HostConfig { binds: list(&["/a:/x", "/b:/x/"]), ..none() }, "Duplicate mount point: /x"),
        (
            HostConfig {
                binds: list(&["/a:/x"]),
                tmpfs: Some([("/x".into(), String::new())].into()),
                ..none()
            },
            "Duplicate mount point: /x",
        ),
        (HostConfig { volumes_from: list(&["a:x"]), ..none() }, "invalid mode: x"),
        (
            HostConfig { storage_opt: Some([("size".into(), "1G".into())].into()), ..none() },
            "storage-opt \"size\" is not supported: layers are directories of one file system, which has no quota here",
        ),
        (parent("../../x"), "invalid cgroup-parent \"../../x\": it must not leave the hierarchy"),
        (ulimit, "invalid ulimit type: fish"),
        (rule, "invalid device cgroup rule format: 'c 1 rwm'"),
        (
            HostConfig { binds: list(&["/var/lib:/x:shared"]), ..none() },
            "invalid mount config: must use either propagation mode \"rslave\" or \"rshared\" when mount source is within the daemon root, daemon root: \"/var/lib/longshore\", bind mount source: \"/var/lib\", propagation: \"shared\"",
        ),
    ] {
        refused(Config::default(), host, message);
    }
}

#[test]
fn addresses_of_endpoints() {
    let with = |ipv4_address: &str| NetworkingConfig {
        endpoints_config: Some(
            [(
                "n".to_owned(),
                Some(EndpointSettings {
                    ipam_config: Some(EndpointIpamConfig {
                        ipv4_address: ipv4_address.into(),
                        ..EndpointIpamConfig::default()
                    }),
                    ..EndpointSettings::default()
                }),
            )]
            .into(),
        ),
    };
    assert!(super::host::networks(&with("10.0.0.5")).is_ok());
    for bad in ["::1", "x", "10.0.0.5\n"] {
        let message = super::host::networks(&with(bad)).unwrap_err().to_string();
        assert!(message.contains(bad), "{message}");
    }
}

#[test]
fn ten_thousand_mounts_are_looked_at_in_no_time() {
    let mounts = (0..10_000).map(|index| Mount {
        kind: MountType::Tmpfs,
        target: format!("/m/{index}"),
        ..Mount::default()
    });
    let host = HostConfig { mounts: Some(mounts.collect()), ..HostConfig::default() };
    check(Config::default(), host).unwrap();
}
