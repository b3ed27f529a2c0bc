//! Sysctls, masked and read-only paths.

use serde_json::json;
use std::collections::BTreeMap;
use testkit::Bed;
use testkit::report::Access;

#[test]
fn sysctls_of_own_namespaces() {
    let bed = Bed::new("sysctl");
    let mut bundle = bed.bundle();
    bundle.set(
        "/linux/sysctl",
        json!({ "net.ipv4.ip_forward": "1", "kernel.shmmax": "1048576", "kernel/msgmax": "4096", "fs.mqueue.msg_max": "20" }),
    );
    bundle.sh("cd /proc/sys; cat net/ipv4/ip_forward kernel/shmmax kernel/msgmax fs/mqueue/msg_max");
    assert_eq!(bed.run(&bundle).ok().stdout, "1\n1048576\n4096\n20\n");
}

#[test]
fn masked_and_read_only_paths_of_the_spec() {
    let bed = Bed::new("masks");
    let mut bundle = bed.bundle();
    std::fs::create_dir(bundle.rootfs("dir")).unwrap();
    std::fs::write(bundle.rootfs("dir/file"), "secret").unwrap();
    std::fs::write(bundle.rootfs("file"), "secret").unwrap();
    bundle.set("/linux/maskedPaths", json!(["/dir", "/file", "/not/there"]));
    bundle.set("/linux/readonlyPaths", json!(["/etc", "/not/there/either"]));
    bundle.args(&["/probe", "access", "/dir", "/file", "/etc", "/etc/passwd"]);
    let seen: BTreeMap<String, Access> = bed.run(&bundle).ok().json();
    assert_eq!((seen["/dir"].read.as_str(), seen["/dir"].write.as_str()), ("0", "EROFS"));
    assert_eq!((seen["/file"].read.as_str(), seen["/file"].kind.as_str()), ("0", "char"));
    assert_eq!((seen["/etc"].write.as_str(), seen["/etc/passwd"].write.as_str()), ("EROFS", "EROFS"));
    assert_ne!(seen["/etc/passwd"].read, "0");
}
