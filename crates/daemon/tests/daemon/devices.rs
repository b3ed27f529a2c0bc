//! Devices that files of the host describe (CDI), and what takes space.

use serde_json::{Value, json};

use crate::streams::bed::Bed;

#[test]
fn described_devices_are_found_and_given() {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().display().to_string();
    let bed = Bed::with(&["--cdi-spec-dir", &directory]);
    let text = "cdiVersion: \"0.3.0\"\nkind: \"vendor1.com/device\"\ndevices:\n- name: foo\n  containerEdits:\n    \
                env:\n    - FOO=injected\n    deviceNodes:\n    - path: /dev/gift\n      hostPath: /dev/zero\n";
    std::fs::write(dir.path().join("x.yaml"), text).unwrap();
    let info = bed.daemon.get("/info").expect(200).json();
    assert_eq!(info["CDISpecDirs"], json!([directory]));
    assert_eq!(info["DiscoveredDevices"], json!([{ "Source": "cdi", "ID": "vendor1.com/device=foo" }]));
    assert!(bed.daemon.get("/v1.49/info").expect(200).json().get("DiscoveredDevices").is_none());
    let request = |name: &str| {
        let request = json!([{ "Driver": "cdi", "DeviceIDs": [format!("vendor1.com/device={name}")] }]);
        json!({ "HostConfig": { "DeviceRequests": request } })
    };
    let script = "echo $FOO; head -c 3 /dev/gift | dd bs=1 2>&1 | cat -v";
    let id = bed.run(&["sh", "-c", script], &request("foo"));
    assert_eq!(bed.wait(&id), 0);
    let text = bed.text(&id, "");
    assert!(text.starts_with("injected\n^@^@^@"), "{text}");
    let id = bed.create(&["true"], &request("bar"));
    let refused = bed.daemon.post(&format!("/containers/{id}/start"), &Value::Null);
    let message = refused.message();
    assert!(message.contains("unresolvable CDI devices vendor1.com/device=bar"), "{message}");
    let info = Bed::with(&["--feature", "cdi=false"]).daemon.get("/info").expect(200).json();
    assert_eq!(info["CDISpecDirs"], json!([]));
}

#[test]
fn volumes_are_counted_to_the_byte() {
    let bed = Bed::new();
    let binds = json!({ "HostConfig": { "Binds": ["kept:/data"] } });
    let id = bed.run(&["sh", "-c", "yes | head -c 1000000 > /data/x"], &binds);
    assert_eq!(bed.wait(&id), 0);
    let usage = || bed.daemon.get("/v1.47/system/df?type=volume").expect(200).json()["Volumes"][0].clone();
    assert_eq!(usage()["Name"], "kept");
    assert_eq!(usage()["UsageData"]["RefCount"], 1);
    let size = usage()["UsageData"]["Size"].as_u64().unwrap();
    assert!((1_000_000..1_020_000).contains(&size), "{size}");
    drop(bed.daemon.delete(&format!("/containers/{id}")).expect(204));
    assert_eq!(usage()["UsageData"]["RefCount"], 0);
    let ledger = bed.daemon.get("/system/df").expect(200).json();
    assert_eq!(ledger["Ledger"]["Unaccounted"], 0, "{ledger}");
}
