//! The identity of a container whose user asked for nothing, item by item: namespaces and
//! capabilities (D1), mounts (D2), masked and read-only paths (D3), devices (D4), sysctls (D5) and
//! the system call filter (D6). Last, the whole report is compared with that of runc.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use testkit::report::{Access, Report};
use testkit::{Bed, beyond_reference, cgroups, identity, require};

fn report(bed: &Bed) -> Report {
    bed.run(&bed.bundle()).report()
}

fn own_namespace(kind: &str) -> u64 {
    fs::metadata(format!("/proc/self/ns/{kind}")).expect("own namespaces").ino()
}

#[test]
fn d1_namespaces() {
    let bed = Bed::new("d1ns");
    let report = report(&bed);
    for kind in ["mnt", "net", "uts", "pid", "ipc"] {
        assert_ne!(report.namespaces[kind], own_namespace(kind), "{kind} is the host's");
    }
    assert_eq!(report.namespaces["user"], own_namespace("user"), "no user namespace was asked for");
    let private = report.namespaces["cgroup"] != own_namespace("cgroup");
    assert_eq!(private, cgroups::is_unified(), "private with cgroup v2, the host's with v1");
    assert_eq!((report.session.pid, report.session.parent), (1, 0));
    assert_eq!(report.hostname, "longshore");
}

#[test]
fn d1_time_namespace() {
    let bed = Bed::new("d1time");
    beyond_reference!(bed, "a time namespace, which runc knows from 1.2");
    assert_ne!(report(&bed).namespaces["time"], own_namespace("time"));
}

#[test]
fn d1_capabilities() {
    let bed = Bed::new("d1caps");
    let mask = identity::CAPABILITY_MASK;
    let report = report(&bed);
    assert_eq!(report.capabilities(), [0, mask, mask, mask, 0], "{:x?}", report.capabilities());
    assert_eq!(report.status("NoNewPrivs"), "0");
}

#[test]
fn d1_credentials_and_limits_are_plain() {
    let bed = Bed::new("d1cred");
    let report = report(&bed);
    assert_eq!((report.status("Uid"), report.status("Gid")), ("0 0 0 0", "0 0 0 0"));
    assert_eq!(report.status("Groups"), "0", "the primary group is among the groups");
    assert_eq!(report.status("Umask"), "0022");
    assert_eq!(report.oom_score_adj, "0");
    assert_eq!(report.personality, "00000000");
    assert_eq!((report.scheduler.policy, report.scheduler.nice), (0, 0));
    let own = fs::read_to_string("/proc/self/limits").unwrap();
    for (name, (soft, hard)) in &report.limits {
        if name == "Max open files" && !bed.is_product() {
            // runc 1.1 passes on the limit that Go raised for itself.
            continue;
        }
        let line = own.lines().find(|line| line.starts_with(name.as_str())).unwrap();
        let mut words = line[26..].split_whitespace();
        // No default limits: what the caller has is what the container gets.
        assert_eq!((words.next(), words.next()), (Some(soft.as_str()), Some(hard.as_str())), "{name}");
    }
}

#[test]
fn d1_session_keyring_is_the_containers_own() {
    let bed = Bed::new("d1keys");
    let mut bundle = bed.bundle();
    // The default filter refuses keyctl.
    bundle.remove("/linux/seccomp");
    let ask = ["result", "keyctl-get-session"];
    let inside: Option<i64> = bed.probe(&bundle, &ask).ok().json();
    let outside: Option<i64> = bed.call(bundle.rootfs("probe")).args(ask).output().ok().json();
    assert!(inside.is_some(), "no session keyring inside");
    assert_ne!(inside, outside);
}

#[test]
fn d2_mounts() {
    let bed = Bed::new("d2");
    let report = report(&bed);
    for (point, kind, options) in identity::MOUNTS {
        let mount = report.mount(point).unwrap_or_else(|| panic!("nothing mounted at {point}"));
        if *point == "/sys/fs/cgroup" {
            assert!(["tmpfs", "cgroup2"].contains(&mount.kind.as_str()), "{mount:?}");
        } else {
            assert_eq!(mount.kind, *kind, "{mount:?}");
        }
        assert!(mount.propagation.is_empty(), "{mount:?}");
        for option in *options {
            let shown = match *option {
                // Flags of the superblock's making, which mountinfo does not show.
                "strictatime" | "newinstance" => continue,
                "ptmxmode=0666" => "ptmxmode=666",
                "mode=0620" => "mode=620",
                "size=67108864" => "size=65536k",
                // A tmpfs that is read-only itself or holds hierarchies that are.
                "ro" if mount.kind == "tmpfs" && *point == "/sys/fs/cgroup" => continue,
                "mode=1777" => continue,
                other => other,
            };
            let shows = |list: &[String]| list.iter().any(|option| option == shown);
            assert!(shows(&mount.options) || shows(&mount.super_options), "{option} is missing in {mount:?}");
        }
    }
    let hierarchies: Vec<_> = report.mounts.iter().filter(|mount| mount.kind.starts_with("cgroup")).collect();
    assert!(!hierarchies.is_empty());
    for mount in hierarchies {
        for option in ["ro", "nosuid", "noexec", "nodev"] {
            assert!(mount.options.iter().any(|known| known == option), "{option} is missing in {mount:?}");
        }
        assert!(mount.propagation.is_empty(), "{mount:?}");
    }
    let shm = report.device("/dev/shm").unwrap();
    assert_eq!(shm.mode, 0o1777, "{shm:?}");
    // On a host whose root is shared the default is to receive, never to send.
    let root = report.mount("/").unwrap();
    assert!(root.propagation.iter().all(|kind| kind == "master"), "{root:?}");
}

fn access(bed: &Bed, paths: &[String]) -> BTreeMap<String, Access> {
    let args: Vec<&str> = ["access"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    bed.probe(&bed.bundle(), &args).ok().json()
}

#[test]
fn d3_masked_paths_show_nothing() {
    let bed = Bed::new("d3mask");
    let paths = identity::masked();
    let seen = access(&bed, &paths);
    let mut present = 0;
    for path in &paths {
        let access = &seen[path];
        if !Path::new(path).exists() {
            assert_eq!(access.kind, "ENOENT", "{path} does not exist on this host: {access:?}");
            continue;
        }
        present += 1;
        assert_eq!(access.read, "0", "{path} shows something: {access:?}");
        // A directory refuses a new file; a file is the null device, which takes anything.
        if access.kind == "dir" {
            assert_eq!(access.write, "EROFS", "{path}: {access:?}");
        } else {
            assert_eq!(access.kind, "char", "{path}: {access:?}");
        }
    }
    assert!(present >= 3, "only {present} of the paths exist here");
}

#[test]
fn d3_read_only_paths_refuse_writes() {
    let bed = Bed::new("d3ro");
    let report = report(&bed);
    for path in identity::READ_ONLY {
        if !Path::new(path).exists() {
            continue;
        }
        let mount = report.mount(path).unwrap_or_else(|| panic!("{path} is not a mount of its own"));
        for option in ["ro", "nosuid", "noexec", "nodev"] {
            assert!(mount.options.iter().any(|known| known == option), "{option} is missing in {mount:?}");
        }
    }
    let writable: Vec<String> =
        bed.probe(&bed.bundle(), &[&["writable"], identity::READ_ONLY].concat()).ok().json();
    assert!(writable.is_empty(), "{writable:?}");
}

#[test]
fn d4_device_nodes() {
    let bed = Bed::new("d4nodes");
    let report = report(&bed);
    let nodes: BTreeMap<&str, _> = report
        .devices
        .iter()
        .filter(|device| device.kind == "char" || device.kind == "block")
        .map(|device| (device.path.as_str(), (device.major, device.minor, device.mode, device.owner)))
        .collect();
    let expected = [
        ("/dev/full", (1, 7)),
        ("/dev/null", (1, 3)),
        ("/dev/random", (1, 8)),
        ("/dev/tty", (5, 0)),
        ("/dev/urandom", (1, 9)),
        ("/dev/zero", (1, 5)),
    ];
    let expected = expected.map(|(path, (major, minor))| (path, (major, minor, 0o666, (0, 0))));
    assert_eq!(nodes, BTreeMap::from(expected));
    for device in report.devices.iter().filter(|device| device.kind == "char" && device.path != "/dev/tty") {
        assert_eq!(device.open, "ok", "{device:?}");
    }
}

#[test]
fn d4_device_links() {
    let bed = Bed::new("d4links");
    let report = report(&bed);
    let links: BTreeMap<&str, &str> = report
        .devices
        .iter()
        .filter(|device| device.kind == "link" && device.path != "/dev/core")
        .map(|device| (device.path.as_str(), device.target.as_str()))
        .collect();
    let expected = [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/ptmx", "pts/ptmx"),
        ("/dev/stderr", "/proc/self/fd/2"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
    ];
    assert_eq!(links, BTreeMap::from(expected));
}

#[test]
fn d4_device_rules() {
    let bed = Bed::new("d4rules");
    let usable: BTreeSet<String> = bed.probe(&bed.bundle(), &["devices"]).ok().json();
    let mut expected: BTreeSet<String> =
        identity::DEVICES.iter().map(|device| (*device).to_owned()).collect();
    expected.extend((0..256).map(|minor| format!("c {}:{minor}", identity::PSEUDO_TERMINALS)));
    // The whiteout of overlayfs, which the kernel exempts and which opens nothing.
    expected.insert("c 0:0".to_owned());
    let extra: Vec<_> = usable.difference(&expected).collect();
    let missing: Vec<_> = expected.difference(&usable).collect();
    assert!(extra.is_empty() && missing.is_empty(), "too much: {extra:?}; too little: {missing:?}");
}

#[test]
fn d5_sysctls() {
    let bed = Bed::new("d5");
    let report = report(&bed);
    for (name, value) in identity::SYSCTLS {
        assert_eq!(report.sysctls[*name], *value, "{name}");
    }
}

#[test]
fn d6_filter_is_on() {
    let bed = Bed::new("d6");
    let report = report(&bed);
    assert_eq!((report.status("Seccomp"), report.status("Seccomp_filters")), ("2", "1"));
}

#[test]
fn nothing_else_is_open() {
    let bed = Bed::new("fds");
    let report = report(&bed);
    let numbers: Vec<i32> = report.descriptors.iter().map(|descriptor| descriptor.number).collect();
    assert_eq!(numbers, [0, 1, 2], "{:?}", report.descriptors);
}

/// Of a hybrid layout, runc 1.1 leaves out the version 2 hierarchy, and the directory of the
/// hierarchies writable.
const BETTER: &[&str] = &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// The report without what differs from run to run or is better on purpose.
fn comparable(report: &Report) -> BTreeMap<String, String> {
    let own = |kind: &&str| report.namespaces.get(*kind) == Some(&own_namespace(kind));
    let shared: Vec<&str> =
        ["mnt", "net", "uts", "pid", "ipc", "user", "cgroup"].into_iter().filter(own).collect();
    let status =
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"]
            .into_iter()
            .chain(["Uid", "Gid", "Groups", "Umask", "SigBlk", "Threads"])
            .map(|field| (field, report.status(field)));
    let points: BTreeMap<&str, _> = report
        .mounts
        .iter()
        .filter(|mount| mount.point != "/" && !identity::MASKED.contains(&mount.point.as_str()))
        .filter(|mount| cgroups::is_unified() || !BETTER.contains(&mount.point.as_str()))
        .map(|mount| (mount.point.as_str(), (&mount.kind, &mount.options, &mount.propagation)))
        .collect();
    let descriptors: Vec<_> = report.descriptors.iter().map(|descriptor| descriptor.number).collect();
    let hierarchies: Vec<_> = report.cgroups.keys().collect();
    let mut writes = report.cgroup_writes.clone();
    writes.remove("/sys/fs/cgroup/unified");
    let mut limits = report.limits.clone();
    // The spec sets no limits. runc 1.1 hands on the soft one that Go's runtime raised for itself.
    if let Some((soft, _)) = limits.get_mut("Max open files") {
        soft.clear();
    }
    let items = [
        ("namespaces shared with the host", format!("{shared:?}")),
        ("status", format!("{:?}", status.collect::<Vec<_>>())),
        ("mounts", format!("{points:#?}")),
        ("descriptors", format!("{descriptors:?}")),
        ("limits", format!("{limits:#?}")),
        ("cgroup hierarchies", format!("{hierarchies:?}")),
        ("writes to cgroups", format!("{writes:?}")),
        ("devices", format!("{:#?}", report.devices)),
        ("uid map", format!("{:?}", report.uid_map)),
        ("gid map", format!("{:?}", report.gid_map)),
        ("host name", format!("{:?} {:?}", report.hostname, report.domainname)),
        ("environment", format!("{:?}", report.env)),
        ("working directory", report.cwd.clone()),
        ("oom_score_adj", report.oom_score_adj.clone()),
        ("personality", report.personality.clone()),
        ("label", report.label.clone()),
        ("sysctls", format!("{:#?}", report.sysctls)),
        ("scheduler", format!("{:?}", report.scheduler)),
        ("session", format!("{:?}", report.session)),
        ("CPUs and nodes", format!("{:?}", report.allowed)),
    ];
    items.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[test]
fn the_report_is_the_same_as_under_runc() {
    let bed = Bed::new("same");
    beyond_reference!(bed, "a comparison with itself");
    require!(Path::new("/usr/sbin/runc").exists(), "no /usr/sbin/runc: install the package runc");
    let bundle = bed.bundle();
    let ours = comparable(&bed.run(&bundle).report());
    let id = bed.container_id();
    let mut plain = bundle.clone();
    // runc 1.1 does not know this one.
    plain.without_namespace("time");
    let runc = bed.call("/usr/sbin/runc").arg("--root").arg(bed.root()).args(["run", "--bundle"]);
    let theirs = comparable(&runc.arg(bundle.dir()).arg(id).output().report());
    for (item, value) in &ours {
        assert_eq!(value, &theirs[item], "{item}: ours, then runc's");
    }
}

/// The product's own table, with which the daemon will make containers, is the one that these tests
/// hold against a probe.
#[test]
fn the_products_table_is_the_one_tested() {
    use longshore_runtime::defaults::identity::{Host, spec};
    let host = Host { time_namespaces: true, unified_cgroups: testkit::cgroups::is_unified() };
    let product = serde_json::to_value(spec("rootfs", &["/probe"], host)).unwrap();
    let tested = testkit::identity::spec(true);
    let sorted = |value: &serde_json::Value| {
        let mut items: Vec<String> = value.as_array().unwrap().iter().map(ToString::to_string).collect();
        items.sort();
        items
    };
    for set in ["bounding", "permitted", "effective"] {
        let path = format!("/process/capabilities/{set}");
        assert_eq!(sorted(product.pointer(&path).unwrap()), sorted(tested.pointer(&path).unwrap()), "{path}");
    }
    for path in ["/linux/namespaces", "/linux/maskedPaths", "/linux/readonlyPaths"] {
        assert_eq!(sorted(product.pointer(path).unwrap()), sorted(tested.pointer(path).unwrap()), "{path}");
    }
    for path in ["/mounts", "/linux/sysctl", "/process/env", "/process/cwd", "/process/oomScoreAdj"] {
        assert_eq!(product.pointer(path), tested.pointer(path), "{path}");
    }
    let rules = |spec: &serde_json::Value| -> Vec<longshore_runtime::spec::DeviceRule> {
        serde_json::from_value(spec.pointer("/linux/resources/devices").unwrap().clone()).unwrap()
    };
    assert_eq!(rules(&product), rules(&tested));
    let filter = |spec: &serde_json::Value| {
        let profile = serde_json::from_value(spec.pointer("/linux/seccomp").unwrap().clone()).unwrap();
        longshore_runtime::seccomp::compile(&profile).unwrap().unwrap().program
    };
    assert_eq!(filter(&product), filter(&tested), "the compiled filters");
}
