//! Users and capabilities.

use rustix::fs::{CWD, XattrFlags};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use testkit::report::Report;
use testkit::{Bed, Bundle, identity};

const NET_RAW: u64 = 1 << 13;
const SYS_ADMIN: u64 = 1 << 21;

/// A container that waits, for `exec`.
fn idle(bundle: &mut Bundle) {
    bundle.sh("echo ready; sleep 1000");
}

fn as_user(bundle: &mut Bundle, user: u32) {
    bundle.set("/process/user", json!({ "uid": user, "gid": user }));
}

#[test]
fn a1_01_numeric_user_is_a_number_whatever_passwd_says() {
    let bed = Bed::new("a1-01");
    let mut bundle = bed.bundle();
    // The bundle's passwd maps the *name* 1000 to user 0.
    let passwd = fs::read_to_string(bundle.rootfs("etc/passwd")).unwrap();
    assert!(passwd.contains("\n1000:x:0:0:"));
    idle(&mut bundle);
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    let id = container.exec_with(&["--user", "1000"], &["/bin/id", "-u"]).ok();
    assert_eq!(id.stdout, "1000\n");
    let id = container.exec_with(&["--user", "1000:1000"], &["/bin/id", "-u"]).ok();
    assert_eq!(id.stdout, "1000\n");
}

#[test]
fn a1_10_no_inheritable_capabilities_for_a_user() {
    let bed = Bed::new("a1-10");
    let mut bundle = bed.bundle();
    as_user(&mut bundle, 1000);
    let mask = identity::CAPABILITY_MASK;
    assert_eq!(bed.run(&bundle).report().capabilities(), [0, 0, 0, mask, 0]);
}

#[test]
fn a1_10_no_inheritable_capabilities_in_exec() {
    let bed = Bed::new("a1-10x");
    let mut bundle = bed.bundle();
    idle(&mut bundle);
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    let mask = identity::CAPABILITY_MASK;
    let report = container.exec_with(&["--user", "1000"], &["/probe"]).report();
    assert_eq!(report.capabilities(), [0, 0, 0, mask, 0]);
    let report = container.exec_with(&["--user", "1000", "--cap", "CAP_NET_ADMIN"], &["/probe"]).report();
    let [inheritable, .., ambient] = report.capabilities();
    assert_eq!((inheritable, ambient), (0, 0), "{:x?}", report.capabilities());
}

#[test]
fn a1_24_exec_has_no_more_than_the_container() {
    let bed = Bed::new("a1-24");
    // Every set without one of them, and a few small ones.
    let all = identity::CAPABILITIES;
    let mut sets: Vec<Vec<&str>> = (0..all.len())
        .step_by(3)
        .map(|without| {
            all.iter().enumerate().filter(|(at, _)| *at != without).map(|(_, name)| *name).collect()
        })
        .collect();
    sets.push(Vec::new());
    sets.push(vec!["CAP_CHOWN"]);
    for set in sets {
        let mut bundle = bed.bundle();
        idle(&mut bundle);
        bundle.set("/process/capabilities", json!({ "bounding": set, "permitted": set, "effective": set }));
        let container = bed.start(&bundle);
        assert_eq!(container.line(), "ready");
        let status = container.exec(&["/bin/cat", "/proc/1/status"]).ok().stdout;
        let of_init = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        let bounding = of_init("CapBnd");
        let report = container.exec(&["/probe"]).report();
        assert_eq!(report.capabilities(), [0, bounding, bounding, bounding, 0], "of {set:?}");
    }
}

#[test]
fn a1_27_programs_of_the_image_are_not_run_by_the_runtime() {
    let bed = Bed::new("a1-27");
    let mut bundle = bed.bundle();
    let trojan = "#!/bin/busybox sh\n/bin/busybox touch /tmp/trojan-$(/bin/busybox basename $0)\n";
    for name in [
        "newuidmap",
        "newgidmap",
        "nft",
        "iptables",
        "ip",
        "xz",
        "git",
        "modprobe",
        "mount",
        "umount",
        "runc",
        "sh",
    ] {
        for dir in ["bin", "sbin", "usr/bin", "usr/sbin"] {
            fs::create_dir_all(bundle.rootfs(dir)).unwrap();
            let path = bundle.rootfs(&format!("{dir}/{name}"));
            drop(fs::remove_file(&path));
            fs::write(&path, trojan).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    bundle.args(&["/bin/busybox", "sh", "-c", "echo ready; sleep 1000"]);
    let container = bed.start(&bundle);
    assert_eq!(container.line(), "ready");
    container.exec(&["/bin/busybox", "true"]).ok();
    container.kill("KILL").ok();
    container.wait();
    container.delete().ok();
    assert_eq!(fs::read_dir(bundle.rootfs("tmp")).unwrap().count(), 0);
}

/// The report of a program with the set-user-id bit, run by user 1000.
fn set_user_id(bed: &Bed, no_new_privileges: bool) -> Report {
    let mut bundle = bed.bundle();
    fs::set_permissions(bundle.rootfs("probe"), fs::Permissions::from_mode(0o4755)).expect("mode");
    as_user(&mut bundle, 1000);
    bundle.set("/process/noNewPrivileges", no_new_privileges.into());
    bed.run(&bundle).report()
}

#[test]
fn c4_55_capabilities_are_the_default_set() {
    let bed = Bed::new("c4-55");
    let mask = identity::CAPABILITY_MASK;
    assert_eq!(bed.run(&bed.bundle()).report().capabilities(), [0, mask, mask, mask, 0]);
}

#[test]
fn c4_55_set_user_id_gives_nothing_with_no_new_privileges() {
    let bed = Bed::new("c4-55s");
    let without = set_user_id(&bed, false);
    assert_eq!(without.status("Uid"), "1000 0 0 0");
    assert_eq!(without.capabilities()[2], identity::CAPABILITY_MASK);
    let with = set_user_id(&bed, true);
    assert_eq!((with.status("Uid"), with.status("NoNewPrivs")), ("1000 1000 1000 1000", "1"));
    assert_eq!(with.capabilities()[2], 0);
}

#[test]
fn c4_55_file_capabilities_end_at_the_bounding_set() {
    let bed = Bed::new("c4-55f");
    let mut bundle = bed.bundle();
    // Version 2 of struct vfs_cap_data, permitted only.
    let permitted = u32::try_from(NET_RAW | SYS_ADMIN).unwrap();
    let words = [0x0200_0000, permitted, 0, 0, 0];
    let value: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    rustix::fs::setxattr(bundle.rootfs("probe"), "security.capability", &value, XattrFlags::empty()).unwrap();
    as_user(&mut bundle, 1000);
    let [inheritable, permitted, effective, ..] = bed.run(&bundle).report().capabilities();
    assert_eq!((inheritable, permitted, effective), (0, NET_RAW, 0));
}

#[test]
fn c4_55_ownership_of_standard_descriptors_does_not_change_on_the_host() {
    let bed = Bed::new("c4-55o");
    let mut bundle = bed.bundle();
    as_user(&mut bundle, 1000);
    bundle.args(&["/bin/true"]);
    let before = rustix::fs::statat(CWD, "/dev/null", rustix::fs::AtFlags::empty()).unwrap();
    bed.run(&bundle).ok();
    let after = rustix::fs::statat(CWD, "/dev/null", rustix::fs::AtFlags::empty()).unwrap();
    assert_eq!((before.st_uid, before.st_gid), (after.st_uid, after.st_gid));
}
