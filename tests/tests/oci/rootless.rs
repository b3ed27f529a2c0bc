//! The runtime started by a user who is not root.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use testkit::{Bed, Bundle, require};

const USER: u32 = 1234;

/// A bundle of that user's: what `spec --rootless` writes, with the probe as its process.
fn own_bundle(bed: &Bed) -> Bundle {
    let bundle = bed.bundle();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
    mode(bed.dir(), 0o777);
    fs::remove_file(bundle.dir().join("config.json")).expect("a spec");
    bed.runtime(&["spec", "--rootless", "--bundle"]).arg(bundle.dir()).output().ok();
    let file = bundle.dir().join("config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(&file).expect("a spec")).expect("JSON");
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = json!(["/probe"]);
    for map in ["uidMappings", "gidMappings"] {
        spec["linux"][map] = json!([{ "containerID": 0, "hostID": USER, "size": 1 }]);
    }
    bundle.write_raw(spec.to_string());
    let chown_all = bed.call("/bin/busybox").args(["chown", "-R", &format!("{USER}:{USER}")]);
    chown_all.arg(bundle.dir()).output().ok();
    bundle
}

#[test]
fn a_user_runs_a_container() {
    let bed = Bed::new("rootless");
    let limit = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    require!(limit.trim() != "0", "user namespaces are switched off");
    let bundle = own_bundle(&bed);
    let root = bed.dir().join("own-root");
    fs::create_dir(&root).unwrap();
    chown(&root, Some(USER), Some(USER)).unwrap();
    // The user may not be able to reach the program where it was built.
    let program = bed.dir().join(bed.program().file_name().unwrap());
    fs::copy(bed.program(), &program).unwrap();
    let id = bed.container_id();
    let run = bed.call("setpriv").args([
        "--reuid",
        &USER.to_string(),
        "--regid",
        &USER.to_string(),
        "--clear-groups",
    ]);
    let run = run.arg(&program).arg("--root").arg(&root).args(["run", "--bundle"]).arg(bundle.dir()).arg(&id);
    let report = run.env("XDG_RUNTIME_DIR", &root).output().report();
    assert_eq!(report.uid_map, [(0, USER, 1)]);
    assert_eq!(report.status("Uid"), "0 0 0 0");
    for (point, verdict) in &report.cgroup_writes {
        assert_ne!(verdict, "ok", "{point} can be written");
    }
}
