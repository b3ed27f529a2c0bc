//! Root file systems and mounts whose paths lead somewhere else.

use rustix::fs::{CWD, FileType, Mode};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use testkit::canary::Canary;
use testkit::{Bed, Bundle, Output, beyond_reference};

/// Every way in which an image may not have the directory that belongs at a place.
const IMPOSTORS: &[&str] =
    &["absolute link", "relative link", "dangling link", "fifo", "file", "device", "socket"];

fn put_impostor(kind: &str, path: &Path, canary: &Canary) {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path).expect("bundle"),
        Ok(_) => fs::remove_file(path).expect("bundle"),
        Err(_) => {}
    }
    let canary = canary.dir();
    let node = |kind, number| -> std::io::Result<()> {
        Ok(rustix::fs::mknodat(CWD, path, kind, Mode::RWXU, number)?)
    };
    let made = match kind {
        "absolute link" => symlink(canary, path),
        "relative link" => symlink(format!("../../../../../../..{}", canary.display()), path),
        "dangling link" => symlink(canary.join("not-there"), path),
        "fifo" => node(FileType::Fifo, 0),
        "device" => node(FileType::CharacterDevice, rustix::fs::makedev(1, 5)),
        "socket" => node(FileType::Socket, 0),
        _ => fs::write(path, ""),
    };
    made.expect("bundle");
}

/// Runs the probe with every impostor at `path`; either it is refused, or `safe` judges it. `beyond`
/// says what a reference runtime lacks for it.
fn with_impostors(
    name: &str,
    path: &str,
    beyond: Option<&str>,
    edit: impl Fn(&mut Bundle),
    safe: impl Fn(&str, &Output),
) {
    let bed = Bed::new(name);
    if let Some(what) = beyond {
        beyond_reference!(bed, "{what}");
    }
    let canary = Canary::new(&bed.dir().join("canary"));
    for kind in IMPOSTORS {
        let mut bundle = bed.bundle();
        edit(&mut bundle);
        fs::create_dir_all(bundle.rootfs(path).parent().expect("a directory")).expect("bundle");
        put_impostor(kind, &bundle.rootfs(path), &canary);
        let output = bed.run(&bundle);
        canary.assert_untouched();
        if output.code == 0 {
            safe(kind, &output);
        } else {
            assert!(output.stderr.lines().count() >= 1, "{kind}: {output:?}");
        }
        bed.say(format_args!("{kind} at {path}: {}", output.code));
    }
}

/// The kernel's own file system has to be mounted at `point`.
fn shows(point: &str, file_system: &str, kind: &str, output: &Output) {
    let report = output.report();
    let mount = report.mount(point).unwrap_or_else(|| panic!("{kind}: nothing at {point}"));
    assert_eq!(mount.kind, file_system, "{kind}");
}

#[test]
fn a1_04_a_bind_does_not_hide_proc() {
    let bed = Bed::new("a1-04");
    let fake = bed.dir().join("fake");
    fs::create_dir_all(fake.join("self")).unwrap();
    for point in ["/proc", "/proc/self", "/proc/sys", "/proc/1"] {
        let mut bundle = bed.bundle();
        bundle.mount(point, "bind", &fake, &["bind", "rw"]).args(&["/bin/true"]);
        let error = bed.run(&bundle).refused();
        assert!(error.contains("/proc"), "{point}: {error}");
    }
}

#[test]
fn a1_14_proc_that_is_something_else_is_refused() {
    let bed = Bed::new("a1-14");
    let canary = Canary::new(&bed.dir().join("canary"));
    for path in ["proc", "sys"] {
        for target in ["/tmp", "tmp", "../../../../tmp", "/proc/self/root/tmp"] {
            let mut bundle = bed.bundle();
            fs::remove_dir(bundle.rootfs(path)).unwrap();
            symlink(target, bundle.rootfs(path)).unwrap();
            bundle.args(&["/bin/true"]);
            let error = bed.run(&bundle).refused();
            assert!(error.contains(path), "{path} -> {target}: {error}");
        }
    }
    canary.assert_untouched();
}

#[test]
fn a1_06_a1_21_c4_48_proc() {
    with_impostors(
        "c4-48p",
        "proc",
        None,
        |_| {},
        |kind, output| panic!("{kind} at /proc was taken: {output:?}"),
    );
}

#[test]
fn a1_06_c4_48_sys() {
    with_impostors(
        "c4-48s",
        "sys",
        None,
        |_| {},
        |kind, output| panic!("{kind} at /sys was taken: {output:?}"),
    );
}

#[test]
fn a1_20_c4_48_dev() {
    with_impostors(
        "c4-48d",
        "dev",
        Some("a check of the device directory (CVE-2026-41579)"),
        |_| {},
        |_, _| {},
    );
}

/// The image's own device directory stays.
fn own_dev(bundle: &mut Bundle) {
    for point in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.without_mount(point);
    }
}

#[test]
fn a1_20_c4_48_dev_pts() {
    let edit = |bundle: &mut Bundle| {
        own_dev(bundle);
        bundle.mount("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance"]);
    };
    with_impostors("c4-48t", "dev/pts", None, edit, |_, _| {});
}

#[test]
fn a1_20_c4_48_dev_shm() {
    let edit = |bundle: &mut Bundle| {
        own_dev(bundle);
        bundle.mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev"]);
    };
    with_impostors("c4-48m", "dev/shm", None, edit, |_, _| {});
}

#[test]
fn a1_20_c4_48_dev_mqueue() {
    let edit = |bundle: &mut Bundle| {
        own_dev(bundle);
        bundle.mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]);
    };
    with_impostors("c4-48q", "dev/mqueue", None, edit, |_, _| {});
}

#[test]
fn a1_26_c4_48_dev_null() {
    with_impostors(
        "c4-48n",
        "dev/null",
        Some("a check of the image's null device"),
        own_dev,
        |kind, output| {
            let report = output.report();
            let null = report.device("/dev/null").unwrap_or_else(|| panic!("{kind}: no /dev/null"));
            assert_eq!((null.kind.as_str(), null.major, null.minor), ("char", 1, 3), "{kind}");
        },
    );
}

#[test]
fn a1_25_c4_48_dev_console() {
    with_impostors("c4-48c", "dev/console", None, own_dev, |_, _| {});
}

#[test]
fn c4_48_dev_ptmx() {
    with_impostors("c4-48x", "dev/ptmx", None, own_dev, |_, _| {});
}

#[test]
fn a1_30_c4_48_files_of_etc() {
    for (number, file) in ["hosts", "hostname", "resolv.conf", "mtab"].into_iter().enumerate() {
        let edit = move |bundle: &mut Bundle| {
            let source = bundle.dir().join(file);
            fs::write(&source, "from the engine\n").expect("bundle");
            bundle.mount(&format!("/etc/{file}"), "bind", &source, &["bind", "rprivate"]);
        };
        with_impostors(&format!("c4-48e{number}"), &format!("etc/{file}"), None, edit, |_, _| {});
    }
}

#[test]
fn a1_30_etc_that_is_a_link_does_not_lead_out() {
    let bed = Bed::new("a1-30");
    let canary = Canary::new(&bed.dir().join("canary"));
    for target in [canary.dir().display().to_string(), format!("../../../../..{}", canary.dir().display())] {
        let mut bundle = bed.bundle();
        fs::remove_dir_all(bundle.rootfs("etc")).unwrap();
        symlink(target, bundle.rootfs("etc")).unwrap();
        let source = bed.dir().join("hosts");
        fs::write(&source, "127.0.0.1 localhost\n").unwrap();
        for file in ["hosts", "resolv.conf", "hostname"] {
            bundle.mount(&format!("/etc/{file}"), "bind", &source, &["bind"]);
        }
        bundle.args(&["/bin/true"]);
        bed.run(&bundle);
        canary.assert_untouched();
    }
}

#[test]
fn a1_06_mount_targets_through_links_stay_inside() {
    let bed = Bed::new("a1-06");
    let canary = Canary::new(&bed.dir().join("canary"));
    for target in [
        canary.dir().display().to_string(),
        "../../../../../../../../..".to_owned() + canary.dir().to_str().unwrap(),
    ] {
        let mut bundle = bed.bundle();
        symlink(&target, bundle.rootfs("mnt/link")).unwrap();
        bundle.mount("/mnt/link", "tmpfs", "tmpfs", &[]);
        bundle.mount("/mnt/link/deep/er", "tmpfs", "tmpfs", &[]);
        bundle.mount("/mnt/../../../../../mnt/up", "tmpfs", "tmpfs", &[]);
        bundle.args(&["/bin/true"]);
        bed.run(&bundle);
        canary.assert_untouched();
    }
}

#[test]
fn a1_17_masks_do_not_trust_the_images_null_device() {
    let bed = Bed::new("a1-17");
    beyond_reference!(bed, "a check of the null device, which runc has from 1.2.8");
    let before = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    for target in ["/proc/sys/kernel/core_pattern", "/etc/passwd", "/dev/zero"] {
        let mut bundle = bed.bundle();
        own_dev(&mut bundle);
        symlink(target, bundle.rootfs("dev/null")).unwrap();
        bundle.set("/linux/maskedPaths", json!(["/proc/timer_list", "/proc/keys", "/proc/interrupts"]));
        bundle.args(&["/probe", "access", "/proc/timer_list", "/proc/keys", "/proc/interrupts"]);
        let output = bed.run(&bundle);
        if output.code == 0 {
            let seen: serde_json::Value = output.json();
            for (path, access) in seen.as_object().unwrap() {
                assert!(access["read"] == "0" || access["kind"] == "ENOENT", "{path}: {access}");
            }
        }
    }
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}

#[test]
fn proc_is_the_kernels_in_a_plain_bundle() {
    let bed = Bed::new("c4-48");
    let output = bed.run(&bed.bundle());
    shows("/proc", "proc", "directory", &output);
    shows("/sys", "sysfs", "directory", &output);
}
