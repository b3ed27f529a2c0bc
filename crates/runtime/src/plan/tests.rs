use std::path::Path;

use longshore_sys::mount::attr;
use longshore_types::ContainerId;
use serde_json::{Value, json};

use super::{MountKind, Options, Plan, PlanError, plan, plan_process};
use crate::{cgroup, spec::Spec};

/// The least spec that can be planned, with `changes` merged in (objects deep, all else replaced).
fn spec(changes: Value) -> Spec {
    let mut base = json!({
        "ociVersion": "1.3.0",
        "root": { "path": "rootfs" },
        "process": { "args": ["/bin/true"], "cwd": "/" },
        "linux": { "namespaces": [
            { "type": "mount" }, { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }
        ] },
    });
    merge(&mut base, changes);
    serde_json::from_value(base).unwrap()
}

fn merge(base: &mut Value, changes: Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, changes) => *base = changes,
    }
}

fn planned(changes: Value) -> Result<Plan, PlanError> {
    let options = Options {
        id: ContainerId::new("c").unwrap(),
        cgroup_driver: cgroup::Driver::Disabled,
        no_pivot: false,
        no_new_keyring: false,
        preserve_fds: 0,
        rootless: false,
    };
    let host = cgroup::Layout::detect().unwrap();
    plan(&spec(changes), Path::new("/b"), &options, &host)
}

fn refused(changes: Value) -> String {
    planned(changes).unwrap_err().to_string()
}

#[test]
fn the_least_spec_has_a_plan() {
    let plan = planned(json!({})).unwrap();
    assert_eq!(plan.rootfs.path, Path::new("/b/rootfs"));
    assert_eq!(plan.keyring.as_deref(), Some("_ses.c"));
    assert_eq!(plan.rootfs.devices.len(), 6);
    assert!(plan.warnings.is_empty());
}

#[test]
fn a_plan_survives_the_trip_to_another_process() {
    let plan = planned(json!({
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"] }],
        "process": { "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 1, "hard": 2 }], "terminal": true },
        "hooks": { "prestart": [{ "path": "/h", "args": ["h", "x"], "timeout": 3 }], "poststop": [{ "path": "/i" }] },
        "linux": {
            "netDevices": { "eth1": {}, "eth2": { "name": "lan" } },
            "namespaces": [{ "type": "mount" }, { "type": "network" }, { "type": "user" }],
            "uidMappings": [{ "containerID": 0, "hostID": 1000, "size": 5 }],
            "gidMappings": [{ "containerID": 0, "hostID": 1000, "size": 5 }],
        },
    }))
    .unwrap();
    let bytes = postcard::to_stdvec(&plan).unwrap();
    assert_eq!(postcard::from_bytes::<Plan>(&bytes).unwrap(), plan);
}

#[test]
fn a_refused_network_device_is_named() {
    let table = [
        (
            json!({ "linux": { "namespaces": [{ "type": "mount" }], "netDevices": { "eth1": {} } } }),
            "linux.netDevices needs a private network namespace: the host's must not change",
        ),
        (
            json!({ "linux": { "netDevices": { "a/b": {} } } }),
            "linux.netDevices has the invalid value \"a/b\"",
        ),
        (
            json!({ "linux": { "netDevices": { "eth%d": {} } } }),
            "linux.netDevices has the invalid value \"eth%d\"",
        ),
        (
            json!({ "linux": { "netDevices": { "eth1": { "name": "sixteen-bytes-xx" } } } }),
            "linux.netDevices.eth1.name has the invalid value \"sixteen-bytes-xx\"",
        ),
        (
            json!({ "linux": { "netDevices": { "eth1": { "name": "e\u{0}" } } } }),
            "linux.netDevices.eth1.name has the invalid value \"e\\0\"",
        ),
        (
            json!({ "linux": { "netDevices": { "eth1": { "name": "e%d%d" } } } }),
            "linux.netDevices.eth1.name has the invalid value \"e%d%d\"",
        ),
        (
            json!({ "linux": { "netDevices": { "eth1": {}, "eth2": { "name": "eth1" } } } }),
            "linux.netDevices.eth2.name contradicts another device's name in the container",
        ),
    ];
    for (changes, message) in table {
        assert_eq!(refused(changes), message);
    }
    let linux = spec(json!({ "linux": { "netDevices": { "eth1": {} } } })).linux.unwrap();
    let namespaces = super::namespaces::plan(&linux).unwrap();
    let error = super::net_devices::plan(&linux.net_devices, &namespaces, true).unwrap_err().to_string();
    assert_eq!(error, "linux.netDevices: moving devices without privileges is not supported");
}

#[test]
fn devices_may_swap_names_or_share_a_template() {
    let devices = json!({ "a": { "name": "b" }, "b": { "name": "a" }, "c": { "name": "fifteen-byte-%d" }, "d": { "name": "fifteen-byte-%d" } });
    assert_eq!(planned(json!({ "linux": { "netDevices": devices } })).unwrap().net_devices.len(), 4);
}

#[test]
fn a_refusal_names_the_field() {
    let table = [
        (json!({ "ociVersion": "" }), "ociVersion is missing"),
        (json!({ "ociVersion": "2.0.0" }), "ociVersion has the invalid value \"2.0.0\""),
        (json!({ "process": null }), "process is missing"),
        (json!({ "root": null }), "root is missing"),
        (json!({ "root": { "path": "" } }), "root.path is missing"),
        (json!({ "process": { "args": [] } }), "process.args is missing"),
        (json!({ "process": { "cwd": "tmp" } }), "process.cwd must be an absolute path, not \"tmp\""),
        (json!({ "process": { "env": ["a"] } }), "process.env[0] has the invalid value \"a\""),
        (json!({ "process": { "env": ["A=1", "=b"] } }), "process.env[1] has the invalid value \"=b\""),
        (json!({ "process": { "args": ["a\0"] } }), "process.args[0] has a NUL byte"),
        (json!({ "process": { "args": [""] } }), "process.args[0] has the invalid value \"\""),
        (json!({ "hostname": "a\0" }), "hostname has a NUL byte"),
        (json!({ "process": { "oomScoreAdj": 2000 } }), "process.oomScoreAdj has the invalid value \"2000\""),
        (
            json!({ "process": { "rlimits": [{ "type": "RLIMIT_NOPE", "soft": 0, "hard": 0 }] } }),
            "process.rlimits[0].type has the invalid value \"RLIMIT_NOPE\"",
        ),
        (
            json!({ "process": { "rlimits": [{ "type": "RLIMIT_CORE", "soft": 2, "hard": 1 }] } }),
            "process.rlimits[0].soft contradicts its lower hard limit",
        ),
        (
            json!({ "process": { "ioPriority": { "class": "IOPRIO_CLASS_BE", "priority": 8 } } }),
            "process.ioPriority.priority has the invalid value \"8\"",
        ),
        (
            json!({ "process": { "scheduler": { "policy": "SCHED_NICE" } } }),
            "process.scheduler.policy has the invalid value \"SCHED_NICE\"",
        ),
        (
            json!({ "linux": { "namespaces": [{ "type": "mount" }, { "type": "mount" }] } }),
            "linux.namespaces[1] contradicts an earlier namespace of the same type",
        ),
        (
            json!({ "linux": { "namespaces": [{ "type": "mount" }, { "type": "network", "path": "ns" }] } }),
            "linux.namespaces[1].path must be an absolute path, not \"ns\"",
        ),
        (
            json!({ "linux": { "namespaces": [{ "type": "mount" }] }, "hostname": "h" }),
            "hostname needs a private uts namespace: the host's must not change",
        ),
        (
            json!({ "linux": { "uidMappings": [{ "containerID": 0, "hostID": 1, "size": 1 }] } }),
            "linux.uidMappings needs a private user namespace: the host's must not change",
        ),
        (
            json!({ "linux": { "namespaces": [{ "type": "user" }, { "type": "mount" }] } }),
            "linux.uidMappings is missing",
        ),
        (
            json!({ "mounts": [{ "destination": "/x", "type": "" }] }),
            "mounts[0].type has the invalid value \"\"",
        ),
        (
            json!({ "linux": { "devices": [{ "path": "/dev/x", "type": "z" }] } }),
            "linux.devices[0].type has the invalid value \"z\"",
        ),
        (
            json!({ "linux": { "devices": [{ "path": "x", "type": "c" }] } }),
            "linux.devices[0].path must be an absolute path, not \"x\"",
        ),
        (
            json!({ "linux": { "rootfsPropagation": "both" } }),
            "linux.rootfsPropagation has the invalid value \"both\"",
        ),
        (
            json!({ "hooks": { "prestart": [{ "path": "x" }] } }),
            "hooks.prestart[0].path must be an absolute path, not \"x\"",
        ),
        (
            json!({ "hooks": { "poststop": [{ "path": "/x", "timeout": 0 }] } }),
            "hooks.poststop[0].timeout has the invalid value \"0\"",
        ),
        (
            json!({ "linux": { "timeOffsets": { "boottime": { "secs": 1 } } } }),
            "linux.timeOffsets needs a private time namespace: the host's must not change",
        ),
        (
            json!({ "linux": { "personality": { "domain": "BSD" } } }),
            "linux.personality.domain has the invalid value \"BSD\"",
        ),
    ];
    for (changes, message) in table {
        assert_eq!(refused(changes.clone()), message, "{changes}");
    }
}

/// CVE-2022-0811, GHSA-w2j5-3rcx-vx7x.
#[test]
fn a_sysctl_must_belong_to_a_private_namespace() {
    let with = |key: &str, value: &str| planned(json!({ "linux": { "sysctl": { key: value } } }));
    let paths = |plan: Plan| plan.sysctls.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    for (key, path) in [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
        ("net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
        ("kernel.shmmax", "kernel/shmmax"),
        ("kernel.domainname", "kernel/domainname"),
        ("fs.mqueue.msg_max", "fs/mqueue/msg_max"),
    ] {
        assert_eq!(paths(with(key, "1 2,3").unwrap()), [path], "{key}");
    }
    for key in ["kernel.core_pattern", "vm.swappiness", "fs.file-max", "kernel.hostname", "debug.x"] {
        assert!(matches!(with(key, "1"), Err(PlanError::SysctlOfHost { .. })), "{key}");
    }
    for key in ["net", "net..x", "net/../kernel/core_pattern", "net.ipv4.a b", "", "net.\0"] {
        assert!(matches!(with(key, "1"), Err(PlanError::Invalid { .. })), "{key}");
    }
    for value in ["1+kernel.core_pattern=|/x", "a=b", "1\n2", "\0"] {
        assert!(matches!(with("net.ipv4.ip_forward", value), Err(PlanError::Invalid { .. })), "{value:?}");
    }
    let shared =
        json!({ "linux": { "namespaces": [{ "type": "mount" }], "sysctl": { "net.ipv4.ip_forward": "1" } } });
    assert!(matches!(planned(shared), Err(PlanError::SysctlNeedsNamespace { namespace: "network", .. })));
}

/// CVE-2019-16884.
#[test]
fn nothing_but_a_procfs_goes_on_proc() {
    let with = |destination: &str, kind: &str| {
        planned(json!({ "mounts": [{ "destination": destination, "type": kind, "source": "/src" }] }))
    };
    for (destination, kind) in
        [("/proc", "proc"), ("/proc/cpuinfo", "bind"), ("/proc/../proc2", "tmpfs"), ("/procs", "tmpfs")]
    {
        assert!(with(destination, kind).is_ok(), "{kind} on {destination}");
    }
    for (destination, kind) in [
        ("/proc", "tmpfs"),
        ("/proc/self", "tmpfs"),
        ("/proc/self/attr", "bind"),
        ("//proc/./self", "tmpfs"),
        ("/x/../proc/sys", "bind"),
    ] {
        assert!(
            matches!(with(destination, kind), Err(PlanError::InsideProc { .. })),
            "{kind} on {destination}"
        );
    }
}

#[test]
fn mount_options_become_attributes() {
    let with = |kind: &str, options: &[&str]| {
        let mount = json!({ "destination": "/m", "type": kind, "source": "/s", "options": options });
        planned(json!({ "mounts": [mount] })).unwrap().rootfs.mounts.remove(0)
    };
    let step = with("tmpfs", &["nosuid", "noexec", "size=64k", "mode=755", "ro", "rw", "sync", "tmpcopyup"]);
    assert_eq!(step.set, attr::NOSUID | attr::NOEXEC);
    assert_eq!(step.clear, attr::RDONLY);
    assert_eq!(step.data, [("size".into(), Some("64k".into())), ("mode".into(), Some("755".into()))]);
    assert_eq!(step.flags, ["sync"]);
    assert!(step.copy_up);

    let step = with("bind", &["rbind", "rro", "noatime", "rslave", "private"]);
    assert_eq!(step.kind, MountKind::Bind { recursive: true });
    assert_eq!((step.set, step.clear), (attr::NOATIME, attr::ATIME));
    assert_eq!(step.recursive_set, attr::RDONLY);
    assert_eq!(step.propagation.len(), 2);

    assert_eq!(with("none", &["bind"]).kind, MountKind::Bind { recursive: false });
    assert_eq!(with("cgroup", &["ro"]).kind, MountKind::Cgroup);
    assert_eq!(with("none", &["remount", "ro"]).kind, MountKind::Remount);
}

#[test]
fn a_file_systems_option_on_a_bind_is_a_warning() {
    let mount = json!({ "destination": "/x", "type": "bind", "source": "/", "options": ["size=1", "ro"] });
    let plan = planned(json!({ "mounts": [mount] })).unwrap();
    assert_eq!(plan.rootfs.mounts[0].data, []);
    assert_eq!(plan.warnings, ["mounts[0].options: \"size\" has no effect on a bind mount"]);
}

#[test]
fn the_table_of_options_is_sorted_for_its_search() {
    assert!(super::KNOWN_OPTIONS.is_sorted());
}

#[test]
fn a_later_variable_of_the_same_name_stands() {
    let spec = spec(json!({ "process": { "env": ["A=1", "B=2", "A=3"] } }));
    let plan = plan_process(spec.process.as_ref().unwrap(), &mut Vec::new()).unwrap();
    assert_eq!(plan.env, [c"B=2".to_owned(), c"A=3".to_owned()]);
}

#[test]
fn an_unknown_capability_is_a_warning() {
    let sets = json!({ "bounding": ["CAP_KILL", "CAP_FLY"], "permitted": ["CAP_FLY"], "ambient": ["CAP_CHECKPOINT_RESTORE"] });
    let plan = planned(json!({ "process": { "capabilities": sets } })).unwrap();
    let masks = plan.process.capabilities.unwrap();
    assert_eq!((masks.bounding, masks.permitted, masks.ambient), (1 << 5, 0, 1 << 40));
    assert_eq!(plan.warnings, ["ignoring unknown or unavailable capabilities: [CAP_FLY]"]);
}

#[test]
fn relative_paths_to_hide_start_at_the_root() {
    let plan = planned(json!({ "linux": { "maskedPaths": ["proc/kcore"], "readonlyPaths": ["/sys/./x"] } }))
        .unwrap();
    assert_eq!(
        (plan.rootfs.masked_paths, plan.rootfs.readonly_paths),
        (vec!["/proc/kcore".into()], vec!["/sys/x".into()])
    );
}

#[test]
fn a_device_of_the_spec_replaces_the_default_one() {
    let device =
        json!({ "path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 384, "uid": 7 });
    let plan = planned(json!({ "linux": { "devices": [device] } })).unwrap();
    let null: Vec<_> = plan.rootfs.devices.iter().filter(|node| node.path == "/dev/null").collect();
    assert_eq!(null.len(), 1);
    assert_eq!((null[0].mode & 0o7777, null[0].uid), (0o600, 7));
}

#[test]
fn overlapping_id_mappings_are_refused() {
    let mapping = |container: u32, host: u32, size: u32| json!({ "containerID": container, "hostID": host, "size": size });
    let with = |maps: Value| {
        planned(json!({ "linux": {
            "namespaces": [{ "type": "user" }, { "type": "mount" }], "uidMappings": maps.clone(), "gidMappings": maps,
        } }))
    };
    assert!(with(json!([mapping(0, 1000, 10), mapping(10, 2000, 10)])).is_ok());
    assert!(with(json!([mapping(0, 1000, 10), mapping(9, 2000, 10)])).is_err());
    assert!(with(json!([mapping(0, 1000, 10), mapping(10, 1009, 10)])).is_err());
    assert!(with(json!([mapping(0, 0, 0)])).is_err());
    assert!(with(json!([mapping(0, 0, u32::MAX), mapping(u32::MAX, u32::MAX, u32::MAX)])).is_ok());
}

#[test]
fn cpu_lists_become_masks() {
    let with = |list: &str| {
        planned(json!({ "process": { "execCPUAffinity": { "initial": list } } }))
            .map(|plan| plan.process.affinity.0)
    };
    assert_eq!(with("0-3, 7").unwrap(), [0x8f]);
    assert_eq!(with("64").unwrap(), [0, 1]);
    assert_eq!(with("").unwrap(), Vec::<u64>::new());
    for bad in ["3-1", "a", "1-", "8192", "-1"] {
        assert!(with(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_destination_with_the_path_of_the_root_in_front() {
    let destination = |text: &str| {
        let mount = json!([{ "destination": text, "type": "tmpfs", "source": "tmpfs" }]);
        planned(json!({ "mounts": mount })).map(|plan| plan.rootfs.mounts[0].destination.clone())
    };
    let root = planned(json!({})).unwrap().rootfs.path;
    let root = root.to_str().unwrap();
    for (text, expected) in [
        (format!("{root}/mnt"), "/mnt".to_owned()),
        (format!("{root}/"), "/".to_owned()),
        (format!("{root}2/mnt"), format!("{root}2/mnt")),
        (format!("/a/..{root}//b/../c"), "/c".to_owned()),
    ] {
        assert_eq!(destination(&text).unwrap(), expected, "{text}");
    }
    // What may not be mounted below /proc may not be by that way.
    destination(&format!("{root}/proc/self")).unwrap_err();
}
