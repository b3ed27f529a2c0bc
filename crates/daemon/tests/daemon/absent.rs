//! What this engine has not, answered as Docker does: swarm mode, plugins, builds.

use serde_json::{Value, json};
use testkit::longshored::Longshored;

#[test]
fn there_is_no_swarm() {
    let daemon = Longshored::start();
    let expected = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this \
                    node to swarm and try again.";
    for path in ["/swarm", "/swarm/unlockkey"] {
        assert_eq!(daemon.get(path).expect(503).message(), expected);
    }
    for kind in ["nodes", "services", "tasks", "secrets", "configs"] {
        for path in [format!("/{kind}"), format!("/{kind}/x")] {
            assert_eq!(daemon.get(&path).expect(503).message(), expected, "{path}");
        }
        if kind != "tasks" {
            assert_eq!(daemon.delete(&format!("/{kind}/x")).expect(503).message(), expected);
            let update = daemon.post(&format!("/{kind}/x/update?version=1"), &json!({}));
            assert_eq!(update.expect(503).message(), expected);
        }
    }
    let leave = daemon.post("/swarm/leave", &Value::Null).expect(503);
    assert_eq!(leave.message(), "This node is not part of a swarm");
    daemon.post("/swarm/init", &json!({})).expect(501);
}

#[test]
fn there_are_no_plugins() {
    let daemon = Longshored::start();
    assert_eq!(daemon.get("/plugins").expect(200).json(), json!([]));
    assert_eq!(daemon.get("/plugins/a/b/json").expect(404).message(), "plugin \"a/b\" not found");
    assert_eq!(daemon.delete("/plugins/x").expect(404).message(), "plugin \"x\" not found");
    daemon.post("/plugins/x/enable", &Value::Null).expect(404);
    daemon.post("/plugins/create", &Value::Null).expect(501);
}

#[test]
fn there_are_no_builds_yet() {
    let daemon = Longshored::start();
    assert!(daemon.post("/build", &Value::Null).expect(501).message().contains("does not build images yet"));
    daemon.post("/session", &Value::Null).expect(501);
    let pruned = daemon.post("/build/prune", &Value::Null).expect(200).json();
    assert_eq!(pruned["SpaceReclaimed"], 0);
}
