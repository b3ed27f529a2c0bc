use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use longshore_runtime::spec::{
    Capabilities, DeviceRule, IdMapping, Linux, Mount, Namespace, NamespaceKind, OCI_VERSION, Process,
    Resources, Rlimit, Root, Spec,
};
use serde::Serialize;

use super::{
    Command, Matches, Outcome,
    failure::Failure,
    flag::{Arguments, Flag, Syntax},
    global::Global,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "spec",
        flags: &[&[
            Flag::value("bundle", "path", "where to write config.json, the current directory by default")
                .short('b'),
            Flag::switch("rootless", "write a configuration for a rootless container"),
        ]],
        arguments: Arguments::Exactly(0),
        flags_first: false,
    },
    arguments: "",
    about: "create a new specification file",
    failed: 1,
    enters: false,
    run,
};

fn run(_: &Global, matches: &Matches) -> Outcome {
    let directory = Path::new(matches.text("bundle").filter(|path| !path.is_empty()).unwrap_or("."));
    let mut spec = default_spec();
    if matches.has("rootless") {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        make_rootless(&mut spec, uid, gid);
    }
    let path = directory.join("config.json");
    let mut file = match File::create_new(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Failure::ConfigExists { directory: directory.into() });
        }
        Err(source) => return Err(Failure::File { action: "create", path, source }),
    };
    file.write_all(&text(&spec)).map_err(|source| Failure::File { action: "write", path, source })?;
    Ok(0)
}

/// `spec` as JSON, indented by tabs as runc writes it.
fn text(spec: &Spec) -> Vec<u8> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let written = spec.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter));
    debug_assert!(written.is_ok(), "a spec has string keys alone and a vector takes all");
    text
}

/// What `runc spec` writes, for the newest version of the specification.
fn default_spec() -> Spec {
    let capabilities = strings(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    Spec {
        oci_version: OCI_VERSION.into(),
        process: Some(Process {
            terminal: true,
            args: strings(&["sh"]),
            env: strings(&[
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm",
            ]),
            cwd: "/".into(),
            // No ambient ones, which runc wrote until 1.1: without inheritable ones they are in vain.
            capabilities: Some(Capabilities {
                bounding: capabilities.clone(),
                effective: capabilities.clone(),
                permitted: capabilities,
                ..Capabilities::default()
            }),
            rlimits: vec![Rlimit { kind: "RLIMIT_NOFILE".into(), hard: 1024, soft: 1024 }],
            no_new_privileges: true,
            ..Process::default()
        }),
        root: Some(Root { path: "rootfs".into(), readonly: true }),
        hostname: "longshore".into(),
        mounts: default_mounts(),
        linux: Some(default_linux()),
        ..Spec::default()
    }
}

fn default_mounts() -> Vec<Mount> {
    vec![
        mount("/proc", "proc", "proc", &[]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
}

fn default_linux() -> Linux {
    let mut kinds = vec![
        NamespaceKind::Pid,
        NamespaceKind::Network,
        NamespaceKind::Ipc,
        NamespaceKind::Uts,
        NamespaceKind::Mount,
    ];
    // With cgroup v1 the hierarchies of the host show through, namespace or not.
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        kinds.push(NamespaceKind::Cgroup);
    }
    Linux {
        resources: Some(Resources {
            devices: vec![DeviceRule { access: "rwm".into(), ..DeviceRule::default() }],
            ..Resources::default()
        }),
        namespaces: kinds.into_iter().map(namespace).collect(),
        masked_paths: strings(&[
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
        ]),
        readonly_paths: strings(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
        ..Linux::default()
    }
}

/// Turns `spec` into one that the user `uid` can run without privileges: a user namespace with that
/// one id, the host's network, no limits, and no mount that needs the network namespace's owner.
fn make_rootless(spec: &mut Spec, uid: u32, gid: u32) {
    for mount in &mut spec.mounts {
        if mount.destination == "/sys" {
            let options = ["rbind", "nosuid", "noexec", "nodev", "ro"];
            *mount = self::mount("/sys", "none", "/sys", &options);
        }
        mount.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
    }
    if let Some(linux) = &mut spec.linux {
        linux.resources = None;
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
        linux.namespaces.push(namespace(NamespaceKind::User));
        let mapping = |host_id| vec![IdMapping { container_id: 0, host_id, size: 1 }];
        linux.uid_mappings = mapping(uid);
        linux.gid_mappings = mapping(gid);
    }
}

fn namespace(kind: NamespaceKind) -> Namespace {
    Namespace { kind, path: String::new() }
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: kind.into(),
        source: source.into(),
        options: strings(options),
        ..Mount::default()
    }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().copied().map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use longshore_runtime::spec::Spec;
    use serde_json::{Value, json};

    use super::{default_spec, make_rootless, text};

    fn written(rootless: bool) -> Value {
        let mut spec = default_spec();
        if rootless {
            make_rootless(&mut spec, 0, 0);
        }
        serde_json::from_slice(&text(&spec)).unwrap()
    }

    #[test]
    fn reads_back_as_what_was_written() {
        let spec = default_spec();
        assert_eq!(serde_json::from_slice::<Spec>(&text(&spec)).unwrap(), spec);
        assert!(String::from_utf8(text(&spec)).unwrap().starts_with("{\n\t\"ociVersion\": \"1.3.0\",\n"));
    }

    #[test]
    fn rootless_has_no_network_namespace_and_one_id() {
        let mut spec = default_spec();
        make_rootless(&mut spec, 1000, 100);
        let spec: Value = serde_json::from_slice(&text(&spec)).unwrap();
        let linux = &spec["linux"];
        assert_eq!(linux["uidMappings"], json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]));
        assert_eq!(linux["gidMappings"], json!([{ "containerID": 0, "hostID": 100, "size": 1 }]));
        let kinds: Vec<_> = linux["namespaces"].as_array().unwrap().iter().map(|n| &n["type"]).collect();
        assert!(!kinds.contains(&&json!("network")) && kinds.contains(&&json!("user")), "{kinds:?}");
        assert_eq!(linux["resources"], Value::Null);
    }

    /// The same content as runc's, but for the version, the host's name, and the ambient
    /// capabilities that runc dropped in 1.2.
    #[test]
    fn is_what_runc_writes() {
        let scratch = std::env::temp_dir().join(format!("longshore-spec-{}", std::process::id()));
        for rootless in [false, true] {
            std::fs::create_dir(&scratch).unwrap();
            let mut runc = Command::new("runc");
            runc.arg("spec").arg("--bundle").arg(&scratch);
            let ran = runc.args(rootless.then_some("--rootless")).status();
            let text = std::fs::read(scratch.join("config.json"));
            std::fs::remove_dir_all(&scratch).unwrap();
            assert!(ran.expect("this test compares with runc: install it").success());
            let mut theirs: Value = serde_json::from_slice(&text.unwrap()).unwrap();
            theirs["ociVersion"] = json!("1.3.0");
            theirs["hostname"] = json!("longshore");
            theirs["process"]["capabilities"].as_object_mut().unwrap().remove("ambient");
            let mut ours = written(rootless);
            let by_kind = |spec: &mut Value| {
                let list = spec["linux"]["namespaces"].as_array_mut().unwrap();
                list.sort_by_key(|namespace| namespace["type"].to_string());
                let mounts = spec["mounts"].as_array_mut().unwrap();
                for mount in mounts.iter_mut().filter_map(|mount| mount["options"].as_array_mut()) {
                    mount.sort_by_key(ToString::to_string);
                }
            };
            by_kind(&mut theirs);
            by_kind(&mut ours);
            assert_eq!(ours, theirs, "rootless: {rootless}");
        }
    }
}
