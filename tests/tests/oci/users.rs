//! User namespaces.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use testkit::{Bed, Bundle};

/// Maps everything to 100000 and up, as for a user without privileges.
fn mapped(bed: &Bed) -> Bundle {
    let mut bundle = bed.bundle();
    let map: Value = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
    bundle.push("/linux/namespaces", json!({ "type": "user" }));
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    // The default set belongs to containers without a user namespace.
    bundle.remove("/linux/sysctl");
    let everybody = rustix::fs::Mode::from_raw_mode(0o755);
    rustix::fs::chmod(bed.dir(), everybody).expect("own directory");
    let dirs = ["", "tmp", "home", "home/user", "mnt", "var"];
    for dir in dirs {
        std::os::unix::fs::chown(bundle.rootfs(dir), Some(100_000), Some(100_000)).expect("own bundle");
    }
    bundle
}

#[test]
fn root_inside_is_somebody_outside() {
    let bed = Bed::new("userns");
    let bundle = mapped(&bed);
    let report = bed.run(&bundle).report();
    assert_eq!(report.status("Uid"), "0 0 0 0");
    assert_eq!(report.uid_map, [(0, 100_000, 65536)]);
    assert_eq!(report.gid_map, [(0, 100_000, 65536)]);
    let own = fs::metadata("/proc/self/ns/user").unwrap().ino();
    assert_ne!(report.namespaces["user"], own);
    assert_eq!(report.mount("/proc").unwrap().kind, "proc");
    assert_eq!(report.device("/dev/null").unwrap().open, "ok");
}

#[test]
fn files_belong_to_the_mapped_user() {
    let bed = Bed::new("usfiles");
    let mut bundle = mapped(&bed);
    bundle.sh("echo x > /tmp/made; chown 5:6 /tmp/made");
    bed.run(&bundle).ok();
    let metadata = fs::metadata(bundle.rootfs("tmp/made")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (100_005, 100_006));
}

#[test]
fn exec_joins_the_user_namespace() {
    let bed = Bed::new("usexec");
    let mut bundle = mapped(&bed);
    let container = super::idle(&bed, &mut bundle);
    let report = container.exec_with(&["--user", "7:8"], &["/probe"]).report();
    assert_eq!(report.uid_map, [(0, 100_000, 65536)]);
    assert_eq!((report.status("Uid"), report.status("Gid")), ("7 7 7 7", "8 8 8 8"));
}

#[test]
fn a_user_that_is_not_mapped_is_refused() {
    let bed = Bed::new("usbad");
    let mut bundle = mapped(&bed);
    bundle.set("/process/user", json!({ "uid": 70_000, "gid": 0 })).args(&["/bin/true"]);
    bed.run(&bundle).refused();
}

#[test]
fn several_ranges() {
    let bed = Bed::new("usranges");
    let mut bundle = mapped(&bed);
    let map = json!([
        { "containerID": 0, "hostID": 100_000, "size": 1000 },
        { "containerID": 1000, "hostID": 0, "size": 1 },
        { "containerID": 1001, "hostID": 101_001, "size": 64_000 },
    ]);
    bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    let report = bed.run(&bundle).report();
    assert_eq!(report.uid_map, [(0, 100_000, 1000), (1000, 0, 1), (1001, 101_001, 64_000)]);
}
