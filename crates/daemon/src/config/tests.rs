use std::io::Write;

use super::*;

fn read(args: &[&str], file: &str) -> Result<Read, String> {
    let mut path = tempfile::NamedTempFile::new().expect("a file");
    path.write_all(file.as_bytes()).expect("a file");
    let name = path.path().display().to_string();
    let args = ["longshored", "--config-file", &name].into_iter().chain(args.iter().copied());
    let chain = |error: ConfigError| longshore_engine::line(&error).replace(&name, "FILE");
    Read::new(args.map(OsString::from)).map_err(chain)
}

#[test]
fn flags_and_keys_say_the_same() {
    let flags = [
        "-D",
        "-H",
        "unix:///a",
        "--host=fd://",
        "-l",
        "warn",
        "--label",
        "a=b",
        "--icc=false",
        "--mtu",
        "1400",
        "--default-ulimit",
        "nofile=1:2",
        "--add-runtime",
        "x=/y",
        "--log-opt",
        "max-size=1m",
        "--default-address-pool",
        "base=10.0.0.0/8,size=24",
        "--max-concurrent-downloads",
        "9",
    ];
    let file = r#"{
        "debug": true, "hosts": ["unix:///a", "fd://"], "log-level": "warn", "labels": ["a=b"], "icc": false,
        "mtu": 1400, "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}},
        "runtimes": {"x": {"path": "/y"}}, "log-opts": {"max-size": "1m"},
        "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}], "max-concurrent-downloads": 9
    }"#;
    let [from_flags, from_file] = [read(&flags, "").expect("flags"), read(&[], file).expect("a file")];
    let mut shown = [from_flags.config, from_file.config];
    for config in &mut shown {
        config.config_file = PathBuf::new();
    }
    assert_eq!(format!("{:?}", shown[0]), format!("{:?}", shown[1]));
    assert!(shown[0].debug);
    assert_eq!(shown[0].network["icc"], false);
    assert_eq!(shown[0].default_ulimits["nofile"].hard, 2);
}

#[test]
fn a_directive_is_said_once() {
    let error = read(&["-D", "--label", "a=b"], r#"{"debug": false, "labels": ["c=d"]}"#).expect_err("twice");
    assert_eq!(
        error,
        "unable to configure the Docker daemon with file FILE: the following directives are specified both as a flag and \
         in the configuration file: debug: (from flag: true, from file: false), labels: (from flag: [a=b], from \
         file: [c=d])"
    );
}

#[test]
fn keys_that_nobody_knows_are_named() {
    let error = read(&[], r#"{"debug": true, "colour": 1, "bold": 2}"#).expect_err("unknown");
    assert_eq!(
        error,
        "unable to configure the Docker daemon with file FILE: the following directives don't match any configuration \
         option: bold, colour"
    );
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let file =
        r#"{"shutdown-timeout": 3, "live-restore": false, "features": {"cdi": true, "x": true, "y": false}}"#;
    let warnings = read(&["--storage-driver", "zfs"], file).expect("settings").warnings;
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.starts_with("storage-driver has no effect: ")));
    let file = r#"{"selinux-enabled": false, "storage-driver": "overlay2", "experimental": false, "storage-opts": [],
                   "exec-opts": ["native.cgroupdriver=cgroupfs"]}"#;
    assert_eq!(read(&[], file).expect("settings").warnings, Vec::<String>::new());
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (args, file) in [
        (&["--debug=maybe"][..], ""),
        (&["--mtu", "x"], ""),
        (&["--label", "x"], ""),
        (&["--label", "a=1", "--label", "a=2"], ""),
        (&["--nothing"], ""),
        (&["--log-level", "loud"], ""),
        (&["--default-address-pool", "base=x,colour=1"], ""),
        (&[], "{"),
        (&[], "[]"),
        (&[], r#"{"debug": "yes"}"#),
        (&[], r#"{"max-concurrent-uploads": -1}"#),
        (&[], r#"{"max-download-attempts": 0}"#),
        (&[], r#"{"userns-remap": "default"}"#),
        (&["--selinux-enabled"], ""),
        (&["--authorization-plugin", "x"], ""),
        (&["--rootless"], ""),
        (&["--default-runtime", "x"], ""),
        (&["--add-runtime", "runc=/x"], ""),
        (&[], r#"{"runtimes": {"x": {"runtimeType": "io.containerd.kata.v2"}}}"#),
        (&[], r#"{"runtimes": {"x": {}}}"#),
        (&["--default-ipc-mode", "host"], ""),
        (&["--default-cgroupns-mode", "shared"], ""),
        (&["--init-path", "/nothing/here"], ""),
        (&["--log-driver", "x"], ""),
        (&["--log-opt", "colour=red"], ""),
        (&["--seccomp-profile", "/etc/hostname"], ""),
        (&["--default-shm-size", "much"], ""),
    ] {
        read(args, file).expect_err("nonsense");
    }
    let missing = ["longshored", "--config-file", "/nothing/here"].map(OsString::from);
    Read::new(missing).expect_err("it is not there");
}

#[test]
fn the_last_of_a_flag_counts() {
    let args = [
        "--init",
        "--init=false",
        "--log-driver",
        "none",
        "--log-driver=local",
        "--label",
        "a=b",
        "--label",
        "c=d",
    ];
    let config = read(&args, "{}").unwrap().config;
    assert_eq!(config.log_driver, "local");
    assert!(!config.init);
    assert_eq!(config.labels, ["a=b", "c=d"]);
}

#[test]
fn a_feature_that_is_named_is_on() {
    let settings = read(&["--feature", "cdi", "--feature", "other=false"], "{}").expect("settings");
    assert_eq!(
        (settings.config.features.get("cdi"), settings.config.features.get("other")),
        (Some(&true), Some(&false))
    );
    assert!(read(&["--add-runtime", "alone"], "{}").is_err());
}

/// What each directive does, by its key or, where it has none, its flag. A new one has to be looked at here.
#[test]
fn no_directive_is_silent() {
    let fields = Fields::default();
    for directive in table::DIRECTIVES {
        let name = if directive.key.is_empty() { directive.flag } else { directive.key };
        match directive.becomes {
            // Read by the services that `services.rs` and the routes set up: each is a field, or it could not be read.
            Becomes::Honoured | Becomes::Reloaded => {
                assert!(fields.0.contains(&name.to_owned()), "{name} is honoured by nobody");
            }
            Becomes::Network => {}
            Becomes::Ignored(why) | Becomes::Refused(why) => {
                assert!(!why.is_empty());
                let value = match directive.shape {
                    table::Shape::Flag => Value::Bool(true),
                    table::Shape::Text => "x".into(),
                    table::Shape::Number => 7.into(),
                    table::Shape::List => serde_json::json!(["x"]),
                    table::Shape::Pairs => serde_json::json!({ "x": "y" }),
                };
                if directive.key.is_empty() {
                    continue;
                }
                let file = serde_json::json!({ directive.key: value }).to_string();
                match (read(&[], &file), directive.becomes) {
                    (Ok(read), Becomes::Ignored(_)) => {
                        assert!(
                            read.warnings.iter().any(|warning| warning.starts_with(name)),
                            "{name} is silent"
                        );
                    }
                    (Err(error), Becomes::Refused(_)) => assert!(error.contains(name), "{name}: {error}"),
                    (read, becomes) => panic!("{name}: {becomes:?}, {read:?}"),
                }
            }
        }
    }
}

/// The names of the fields that settings are read into.
struct Fields(Vec<String>);

impl Default for Fields {
    fn default() -> Self {
        let shown = format!("{:#?}", Config::default());
        let fields = shown.lines().filter_map(|line| {
            let field = line.strip_prefix("    ")?;
            let (name, _) = field.split_once(':')?;
            (!name.starts_with(' ')).then(|| name.replace('_', "-"))
        });
        Self(fields.collect())
    }
}
