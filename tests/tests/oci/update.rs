//! update and events.

use super::idle;
use serde_json::{Value, json};
use std::fs;
use testkit::{Bed, cgroups, require};

fn memory_limit(cgroup: &str) -> String {
    let file = if cgroups::is_unified() { "memory.max" } else { "memory.limit_in_bytes" };
    cgroups::value("memory", cgroup, file)
}

#[test]
fn update_changes_limits_of_a_running_container() {
    let bed = Bed::new("update");
    require!(cgroups::controller("memory").is_some(), "no memory controller");
    require!(cgroups::controller("pids").is_some(), "no pids controller");
    let mut bundle = bed.bundle();
    bundle.set("/linux/resources/memory", json!({ "limit": 64 << 20 }));
    let container = idle(&bed, &mut bundle);
    assert_eq!(memory_limit(bundle.cgroup()), (64 << 20).to_string());
    container.call("update", &["--memory", "33554432", "--pids-limit", "20"]).output().ok();
    assert_eq!(memory_limit(bundle.cgroup()), "33554432");
    assert_eq!(cgroups::value("pids", bundle.cgroup(), "pids.max"), "20");
    container.call("update", &["--pids-limit", "-1"]).output().ok();
    assert_eq!(cgroups::value("pids", bundle.cgroup(), "pids.max"), "max");
    assert_eq!(container.status(), "running");
}

#[test]
fn update_from_a_document() {
    let bed = Bed::new("updoc");
    require!(cgroups::controller("cpu").is_some(), "no cpu controller");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    let document = bed.dir().join("resources.json");
    let resources = json!({ "cpu": { "quota": 50_000, "period": 100_000 }, "memory": { "limit": 50 << 20 } });
    fs::write(&document, resources.to_string()).unwrap();
    container.call("update", &["--resources", document.to_str().unwrap()]).output().ok();
    if cgroups::is_unified() {
        assert_eq!(cgroups::value("cpu", bundle.cgroup(), "cpu.max"), "50000 100000");
    } else {
        assert_eq!(cgroups::value("cpu", bundle.cgroup(), "cpu.cfs_quota_us"), "50000");
        assert_eq!(cgroups::value("cpu", bundle.cgroup(), "cpu.cfs_period_us"), "100000");
    }
    assert_eq!(memory_limit(bundle.cgroup()), (50 << 20).to_string());
}

#[test]
fn events_stats_prints_one_document() {
    let bed = Bed::new("events");
    let mut bundle = bed.bundle();
    bundle.set("/linux/resources/pids", json!({ "limit": 50 }));
    bundle.sh("echo ready; exec sleep 1000");
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    let output = container.call("events", &["--stats"]).output().ok();
    let event: Value = output.json();
    assert_eq!(event["type"], "stats", "{event}");
    assert_eq!(event["id"], container.id(), "{event}");
    let data = &event["data"];
    assert_eq!((&data["pids"]["current"], &data["pids"]["limit"]), (&json!(1), &json!(50)), "{event}");
    assert!(data["memory"]["usage"]["usage"].as_u64().is_some_and(|bytes| bytes > 0), "{event}");
    assert!(data["cpu"]["usage"]["total"].as_u64().is_some_and(|nanoseconds| nanoseconds > 0), "{event}");
}

#[test]
fn update_of_a_stopped_container_is_refused() {
    let bed = Bed::new("upstop");
    let mut bundle = bed.bundle();
    let container = idle(&bed, &mut bundle);
    container.kill("KILL").ok();
    container.wait();
    container.call("update", &["--pids-limit", "20"]).output().refused();
}
