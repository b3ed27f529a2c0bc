//! Mounts: kinds, flags, propagation, the root itself.

use serde_json::json;
use std::fs;
use testkit::report::Mount;
use testkit::{Bed, Bundle, beyond_reference};

fn mounted(bed: &Bed, bundle: &Bundle, point: &str) -> Mount {
    let report = bed.probe(bundle, &[]).report();
    report.mount(point).unwrap_or_else(|| panic!("nothing at {point} in {:#?}", report.mounts)).clone()
}

fn has(mount: &Mount, option: &str) -> bool {
    mount.options.iter().chain(&mount.super_options).any(|known| known == option)
}

#[test]
fn flags_of_a_tmpfs() {
    let bed = Bed::new("mtflags");
    let mut bundle = bed.bundle();
    let options = ["nosuid", "nodev", "noexec", "ro", "noatime", "size=1m", "mode=700"];
    bundle.mount("/mnt", "tmpfs", "tmpfs", &options);
    let mount = mounted(&bed, &bundle, "/mnt");
    assert_eq!(mount.kind, "tmpfs");
    for option in ["nosuid", "nodev", "noexec", "ro", "noatime", "size=1024k", "mode=700"] {
        assert!(has(&mount, option), "{option} is missing in {mount:?}");
    }
}

#[test]
fn a_later_option_wins() {
    let bed = Bed::new("mtlater");
    let mut bundle = bed.bundle();
    bundle.mount("/mnt", "tmpfs", "tmpfs", &["ro", "noexec", "rw", "exec"]);
    let mount = mounted(&bed, &bundle, "/mnt");
    assert!(has(&mount, "rw") && !has(&mount, "noexec"), "{mount:?}");
}

#[test]
fn binds_of_directories_and_files() {
    let bed = Bed::new("mtbind");
    let source = bed.dir().join("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), "content\n").unwrap();
    let mut bundle = bed.bundle();
    bundle.mount("/mnt/dir", "bind", &source, &["bind", "ro", "nosuid"]);
    bundle.mount("/mnt/new/deep/file", "bind", source.join("file"), &["bind"]);
    bundle.sh(
        "cat /mnt/dir/file /mnt/new/deep/file; echo x > /mnt/dir/file; echo changed > /mnt/new/deep/file",
    );
    let output = bed.run(&bundle);
    assert_eq!(output.stdout, "content\ncontent\n");
    assert!(output.stderr.contains("Read-only"), "{output:?}");
    assert_eq!(fs::read_to_string(source.join("file")).unwrap(), "changed\n");
    let mount = mounted(&bed, &bundle, "/mnt/dir");
    assert!(has(&mount, "ro") && has(&mount, "nosuid"), "{mount:?}");
}

#[test]
fn a_bind_of_what_is_not_there_names_it() {
    let bed = Bed::new("mtabs");
    let mut bundle = bed.bundle();
    bundle.mount("/mnt", "bind", "/no/such/source", &["bind"]).args(&["/bin/true"]);
    let error = bed.run(&bundle).refused();
    assert!(error.contains("/no/such/source"), "{error}");
}

/// A directory with another tmpfs mounted in it, for recursive binds.
struct Nested<'b> {
    bed: &'b Bed,
    inner: std::path::PathBuf,
}

impl Nested<'_> {
    fn new(bed: &Bed) -> Nested<'_> {
        let inner = bed.dir().join("outer/inner");
        fs::create_dir_all(&inner).expect("directories");
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", &inner, "tmpfs", flags, None).expect("mount a tmpfs");
        Nested { bed, inner }
    }

    fn outer(&self) -> std::path::PathBuf {
        self.bed.dir().join("outer")
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.inner, rustix::mount::UnmountFlags::DETACH).expect("a mount of ours");
    }
}

#[test]
fn a_recursive_bind_takes_what_is_below() {
    let bed = Bed::new("mtrbind");
    let nested = Nested::new(&bed);
    let mut bundle = bed.bundle();
    bundle.mount("/mnt/one", "bind", nested.outer(), &["bind"]);
    bundle.mount("/mnt/all", "bind", nested.outer(), &["rbind"]);
    let report = bed.run(&bundle).report();
    assert!(report.mount("/mnt/one/inner").is_none());
    assert_eq!(report.mount("/mnt/all/inner").unwrap().kind, "tmpfs");
}

#[test]
fn a_recursively_read_only_bind_is_read_only_below() {
    let bed = Bed::new("mtrro");
    let nested = Nested::new(&bed);
    let mut bundle = bed.bundle();
    bundle.mount("/mnt/top", "bind", nested.outer(), &["rbind", "ro"]);
    bundle.mount("/mnt/all", "bind", nested.outer(), &["rbind", "rro"]);
    bundle.mount("/mnt/flags", "bind", nested.outer(), &["rbind", "rnosuid", "rnodev", "rnoexec"]);
    let report = bed.run(&bundle).report();
    assert!(has(report.mount("/mnt/top").unwrap(), "ro"));
    assert!(report.mount("/mnt/top/inner").unwrap().options.iter().any(|option| option == "rw"));
    for point in ["/mnt/all", "/mnt/all/inner"] {
        assert!(report.mount(point).unwrap().options.iter().any(|option| option == "ro"), "{point}");
    }
    for option in ["nosuid", "nodev", "noexec"] {
        assert!(has(report.mount("/mnt/flags/inner").unwrap(), option), "{option}");
    }
}

#[test]
fn propagation_of_mounts() {
    let bed = Bed::new("mtprop");
    let source = bed.dir().join("source");
    fs::create_dir_all(&source).unwrap();
    for (option, shown) in
        [("private", ""), ("rprivate", ""), ("shared", "shared"), ("unbindable", "unbindable")]
    {
        let mut bundle = bed.bundle();
        bundle.mount("/mnt", "bind", &source, &["bind", option]);
        let mut mount = mounted(&bed, &bundle, "/mnt");
        if option == "shared" {
            // Of a source that is shared itself it is a receiver as well.
            mount.propagation.retain(|kind| kind != "master");
        }
        assert_eq!(mount.propagation.join(","), shown, "{option}");
    }
}

#[test]
fn propagation_of_the_root() {
    let bed = Bed::new("mtrootp");
    for (value, shown) in [("private", ""), ("slave", ""), ("unbindable", "unbindable")] {
        if value == "unbindable" && !bed.is_product() {
            // runc 1.1 binds the root after it made it unbindable.
            continue;
        }
        let mut bundle = bed.bundle();
        bundle.set("/linux/rootfsPropagation", value.into());
        let mount = mounted(&bed, &bundle, "/");
        let is_slave = value == "slave" && mount.propagation == ["master"];
        assert!(is_slave || mount.propagation.join(",") == shown, "{value}: {mount:?}");
    }
}

#[test]
fn a_read_only_root() {
    let bed = Bed::new("mtro");
    let mut bundle = bed.bundle();
    bundle.set("/root/readonly", true.into());
    bundle.sh("touch /new; touch /dev/shm/new && echo shm");
    let output = bed.run(&bundle);
    assert_eq!(output.stdout, "shm\n");
    assert!(output.stderr.contains("Read-only"), "{output:?}");
    assert!(!bundle.rootfs("new").exists());
}

#[test]
fn a_tmpfs_with_what_was_below_it() {
    let bed = Bed::new("mtcopy");
    let mut bundle = bed.bundle();
    fs::create_dir_all(bundle.rootfs("var/lib/deep")).unwrap();
    fs::write(bundle.rootfs("var/lib/deep/file"), "kept\n").unwrap();
    std::os::unix::fs::symlink("deep/file", bundle.rootfs("var/lib/link")).unwrap();
    bundle.mount("/var/lib", "tmpfs", "tmpfs", &["tmpcopyup"]);
    bundle.sh("cat /var/lib/link; echo new > /var/lib/deep/file; cat /var/lib/deep/file");
    assert_eq!(bed.run(&bundle).ok().stdout, "kept\nnew\n");
    assert_eq!(fs::read_to_string(bundle.rootfs("var/lib/deep/file")).unwrap(), "kept\n");
}

#[test]
fn links_in_destinations_are_followed_inside() {
    let bed = Bed::new("mtlink");
    let mut bundle = bed.bundle();
    std::os::unix::fs::symlink("/var", bundle.rootfs("link")).unwrap();
    bundle.mount("/link/data", "tmpfs", "tmpfs", &[]);
    assert_eq!(mounted(&bed, &bundle, "/var/data").kind, "tmpfs");
}

#[test]
fn later_mounts_are_on_top() {
    let bed = Bed::new("mtorder");
    let mut bundle = bed.bundle();
    bundle.mount("/mnt", "tmpfs", "first", &["mode=700"]);
    bundle.mount("/mnt/inner", "tmpfs", "second", &[]);
    bundle.mount("/mnt", "tmpfs", "third", &["mode=711"]);
    let report = bed.run(&bundle).report();
    assert_eq!(report.mount("/mnt").unwrap().source, "third");
    bundle.args(&["/bin/ls", "-A", "/mnt"]);
    assert_eq!(bed.run(&bundle).ok().stdout, "");
}

#[test]
fn an_unknown_file_system_is_refused() {
    let bed = Bed::new("mtunk");
    let mut bundle = bed.bundle();
    bundle.mount("/mnt", "nosuchfs", "none", &[]).args(&["/bin/true"]);
    let error = bed.run(&bundle).refused();
    assert!(error.contains("/mnt"), "{error}");
}

#[test]
fn devices_of_the_spec() {
    let bed = Bed::new("mtdev");
    let mut bundle = bed.bundle();
    bundle.push(
        "/linux/devices",
        json!({ "path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 3, "gid": 4 }),
    );
    bundle.push("/linux/devices", json!({ "path": "/dev/sub/block", "type": "b", "major": 7, "minor": 99 }));
    bundle.push("/linux/devices", json!({ "path": "/dev/pipe", "type": "p", "fileMode": 0o600 }));
    let report = bed.run(&bundle).report();
    let mine = report.device("/dev/mine").unwrap();
    assert_eq!((mine.kind.as_str(), mine.major, mine.minor), ("char", 1, 5));
    assert_eq!((mine.mode, mine.owner, mine.open.as_str()), (0o640, (3, 4), "ok"));
    let block = report.device("/dev/sub/block").unwrap();
    assert_eq!(
        (block.kind.as_str(), block.major, block.minor, block.open.as_str()),
        ("block", 7, 99, "EPERM")
    );
    assert_eq!(report.device("/dev/pipe").unwrap().kind, "fifo");
}

#[test]
fn an_id_mapped_bind() {
    let bed = Bed::new("mtidmap");
    beyond_reference!(bed, "idmapped mounts, which runc knows from 1.2");
    // tmpfs takes part from Linux 6.3, ext4 from 5.12: the test's own directory is on a disk.
    let source = bed.dir().join("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), "").unwrap();
    std::os::unix::fs::chown(source.join("file"), Some(1000), Some(1000)).unwrap();
    let mut bundle = bed.bundle();
    let map = json!([{ "containerID": 1000, "hostID": 2000, "size": 10 }]);
    bundle.push(
        "/mounts",
        json!({ "destination": "/mnt", "type": "bind", "source": source, "options": ["bind", "idmap"],
            "uidMappings": map, "gidMappings": map }),
    );
    bundle.args(&["/bin/stat", "-c", "%u:%g", "/mnt/file"]);
    assert_eq!(bed.run(&bundle).ok().stdout, "2000:2000\n");
}

#[test]
fn an_id_mapped_bind_of_what_was_mounted_before() {
    let bed = Bed::new("mtidorder");
    beyond_reference!(bed, "idmapped mounts, which runc knows from 1.2");
    let source = bed.dir().join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    fs::write(source.join("sub/file"), "").unwrap();
    std::os::unix::fs::chown(source.join("sub/file"), Some(1000), Some(1000)).unwrap();
    let mut bundle = bed.bundle();
    let map = json!([{ "containerID": 1000, "hostID": 2000, "size": 10 }]);
    bundle.push(
        "/mounts",
        json!({ "destination": "/mnt", "type": "bind", "source": source, "options": ["rbind"] }),
    );
    bundle.push(
        "/mounts",
        json!({ "destination": "/var/sub", "type": "bind", "source": bundle.rootfs("mnt/sub"),
            "options": ["bind", "idmap"], "uidMappings": map, "gidMappings": map }),
    );
    bundle.args(&["/bin/stat", "-c", "%u:%g", "/mnt/sub/file", "/var/sub/file"]);
    assert_eq!(bed.run(&bundle).ok().stdout, "1000:1000\n2000:2000\n");
}

#[test]
fn without_a_mount_namespace_the_hosts_is_not_touched() {
    let bed = Bed::new("mtnons");
    beyond_reference!(bed, "a root of its own where there is no mount namespace");
    let mut bundle = bed.bundle();
    bundle.without_namespace("mount").remove("/linux/maskedPaths").remove("/linux/readonlyPaths");
    bundle.sh("ls /sys/fs/cgroup; [ -e /proc/self/status ] && echo procfs");
    let said = bed.run(&bundle).ok().stdout;
    assert!(said.ends_with("procfs\n") && said.lines().count() > 2, "{said}");
}

#[test]
fn a_tmpfs_has_the_mode_of_what_it_covers_or_the_kernels() {
    let bed = Bed::new("mttmpmode");
    let mut bundle = bed.bundle();
    fs::create_dir(bundle.rootfs("covered")).unwrap();
    rustix::fs::chmod(bundle.rootfs("covered"), rustix::fs::Mode::from_raw_mode(0o710)).unwrap();
    for destination in ["/covered", "/new"] {
        bundle.push("/mounts", json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs" }));
    }
    bundle.args(&["/bin/stat", "-c", "%a", "/covered", "/new"]);
    assert_eq!(bed.run(&bundle).ok().stdout, "710\n1777\n");
}
