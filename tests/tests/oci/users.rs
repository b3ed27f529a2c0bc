//! User namespaces.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use testkit::{Bed, Bundle, beyond_reference};

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

#[test]
fn a_source_below_an_earlier_mount_is_what_is_seen_there() {
    let bed = Bed::new("usorder");
    beyond_reference!(bed, "sources in the order of the mounts, which runc has in user namespaces from 1.2");
    let mut bundle = mapped(&bed);
    for (dir, text) in [("covered/sub", "below"), ("source/sub", "on top"), ("source/new", "new")] {
        fs::create_dir_all(bed.dir().join(dir)).unwrap();
        fs::write(bed.dir().join(dir).join("file"), text).unwrap();
    }
    fs::create_dir_all(bundle.rootfs("mnt/sub")).unwrap();
    let bind = |source: std::path::PathBuf, destination: &str| json!({ "destination": destination, "type": "bind", "source": source, "options": ["rbind"] });
    bundle.push("/mounts", bind(bed.dir().join("source"), "/mnt"));
    // Is there before the first mount, and is another then; is not there before it.
    bundle.push("/mounts", bind(bundle.rootfs("mnt/sub"), "/var/sub"));
    bundle.push("/mounts", bind(bundle.rootfs("mnt/new"), "/var/new"));
    bundle.push("/mounts", bind(bed.dir().join("covered"), "/var/covered"));
    bundle.sh("cat /var/sub/file /var/new/file /var/covered/sub/file");
    assert_eq!(bed.run(&bundle).ok().stdout, "on topnewbelow");
}

#[test]
fn a_source_that_the_user_cannot_reach() {
    let bed = Bed::new("usreach");
    let mut bundle = mapped(&bed);
    let hidden = bed.dir().join("hidden");
    fs::create_dir_all(hidden.join("source")).unwrap();
    fs::write(hidden.join("source/file"), "reached").unwrap();
    rustix::fs::chmod(&hidden, rustix::fs::Mode::from_raw_mode(0o700)).unwrap();
    bundle.push(
        "/mounts",
        json!({ "destination": "/mnt", "type": "bind", "source": hidden.join("source"), "options": ["rbind"] }),
    );
    bundle.sh("cat /mnt/file");
    assert_eq!(bed.run(&bundle).ok().stdout, "reached");
}

#[test]
fn clocks_have_offsets_with_a_user_namespace() {
    let bed = Bed::new("ustime");
    beyond_reference!(bed, "time namespaces, which runc knows from 1.2");
    let mut bundle = mapped(&bed);
    bundle.set("/linux/timeOffsets", json!({ "boottime": { "secs": 1_000_000 } }));
    let report = bed.run(&bundle).report();
    assert_eq!(report.time_offsets["boottime"], (1_000_000, 0));
    assert_ne!(report.namespaces["time"], fs::metadata("/proc/self/ns/time").unwrap().ino());
    bundle.sh("read up rest < /proc/uptime; echo ${up%.*}");
    let container = super::idle(&bed, &mut bundle);
    let uptime = container.exec(&["/bin/sh", "-c", "read up rest < /proc/uptime; echo ${up%.*}"]).ok().stdout;
    assert!(uptime.trim().parse::<u64>().unwrap() > 1_000_000, "{uptime}");
}
