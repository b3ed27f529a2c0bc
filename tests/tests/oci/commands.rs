//! Commands about the runtime itself: features, spec, list, logs, usage.

use super::idle;
use serde_json::Value;
use std::fs;
use testkit::Bed;

#[test]
fn features_name_what_there_is() {
    let bed = Bed::new("features");
    let features = bed.features();
    let names = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    assert!(features["ociVersionMin"].is_string() && features["ociVersionMax"].is_string(), "{features}");
    let hooks = names(&features["hooks"]);
    for hook in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        assert!(hooks.iter().any(|known| known == hook), "{hook} is not in {hooks:?}");
    }
    let namespaces = names(&features["linux"]["namespaces"]);
    for kind in ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"] {
        assert!(namespaces.iter().any(|known| known == kind), "{kind} is not in {namespaces:?}");
    }
    let options = names(&features["mountOptions"]);
    for option in ["ro", "rbind", "rro", "nosuid", "tmpcopyup"] {
        assert!(options.iter().any(|known| known == option), "{option} is not in {options:?}");
    }
    assert!(names(&features["linux"]["capabilities"]).contains(&"CAP_SYS_ADMIN".to_owned()));
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert!(names(&features["linux"]["seccomp"]["actions"]).contains(&"SCMP_ACT_ERRNO".to_owned()));
    assert_eq!(features["linux"]["cgroup"]["v1"], true);
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
}

#[test]
fn the_example_spec_runs() {
    let bed = Bed::new("spec");
    let bundle = bed.bundle();
    fs::remove_file(bundle.dir().join("config.json")).unwrap();
    bed.runtime(&["spec", "--bundle"]).arg(bundle.dir()).output().ok();
    let file = bundle.dir().join("config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(spec["process"]["args"], serde_json::json!(["sh"]));
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = serde_json::json!(["echo", "runs"]);
    spec["linux"]["cgroupsPath"] = bundle.cgroup().into();
    bundle.write_raw(spec.to_string());
    assert_eq!(bed.run(&bundle).ok().stdout, "runs\n");
    // It does not overwrite one.
    bed.runtime(&["spec", "--bundle"]).arg(bundle.dir()).output().refused();
}

#[test]
fn list_shows_the_containers() {
    let bed = Bed::new("list");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    let list: Value = bed.runtime(&["list", "--format", "json"]).output().ok().json();
    let entry = list.as_array().unwrap().iter().find(|entry| entry["id"] == container.id()).unwrap();
    assert_eq!(entry["status"], "running");
    assert_eq!(entry["pid"], container.pid());
    assert_eq!(entry["bundle"], bundle.dir().to_str().unwrap());
    let table = bed.runtime(&["list"]).output().ok().stdout;
    assert!(table.contains(container.id()) && table.contains("running"), "{table}");
    let ids = bed.runtime(&["list", "--quiet"]).output().ok().stdout;
    assert_eq!(ids, format!("{}\n", container.id()));
}

#[test]
fn errors_go_to_the_log_file() {
    let bed = Bed::new("log");
    let log = bed.dir().join("log");
    let path = log.to_str().unwrap();
    let id = bed.container_id();
    bed.runtime(&["--log", path, "--log-format", "json", "state", &id]).output().refused();
    let text = fs::read_to_string(&log).unwrap();
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(line["level"], "error", "{line}");
    assert!(line["msg"].as_str().unwrap().contains("not exist"), "{line}");
    assert!(line["time"].is_string(), "{line}");
    fs::remove_file(&log).unwrap();
    bed.runtime(&["--log", path, "state", &id]).output().refused();
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("level=error") && text.contains("msg="), "{text}");
}

#[test]
fn usage() {
    let bed = Bed::new("usage");
    for args in [&["--version"][..], &["--help"], &["help"]] {
        let output = bed.runtime(args).output().ok();
        assert!(!output.stdout.is_empty(), "{args:?}");
    }
    for args in
        [&["no-such-command"][..], &["--no-such-flag", "list"], &["state"], &["kill"], &["create", "a", "b"]]
    {
        let output = bed.runtime(args).output();
        assert_ne!(output.code, 0, "{args:?}: {output:?}");
    }
}
