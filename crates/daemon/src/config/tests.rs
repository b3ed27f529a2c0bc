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
    let read = read(&["--storage-driver", "zfs"], r#"{"userns-remap": "default", "live-restore": false}"#);
    let warnings = read.expect("settings").warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.starts_with("storage-driver has no effect: ")));
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
