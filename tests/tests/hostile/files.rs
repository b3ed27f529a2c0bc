//! Bundles whose files are not what they should be.

use super::refused;
use rustix::fs::{CWD, FileType, Mode};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use testkit::canary::Canary;
use testkit::{Bed, beyond_reference};

#[test]
fn no_bundle_and_no_spec() {
    let bed = Bed::new("hnobundle");
    let id = bed.container_id();
    let error = bed.runtime(&["run", "--bundle", "/no/such/bundle", &id]).output().refused();
    assert!(error.contains("/no/such/bundle"), "{error}");
    let bundle = bed.bundle();
    fs::remove_file(bundle.dir().join("config.json")).unwrap();
    refused(&bed, &bundle, &["config.json"]);
}

#[test]
fn a_spec_that_is_no_file() {
    let bed = Bed::new("hspecdir");
    beyond_reference!(bed, "a spec that is checked before it is read; runc waits for a pipe");
    let bundle = bed.bundle();
    let path = bundle.dir().join("config.json");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&bed, &bundle, &["config.json"]);
    fs::remove_dir(&path).unwrap();
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    refused(&bed, &bundle, &["config.json"]);
    fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    refused(&bed, &bundle, &["config.json"]);
}

#[test]
fn a_root_file_system_that_is_none() {
    let bed = Bed::new("hroot");
    let mut bundle = bed.bundle();
    bundle.set("/root/path", "no-such-dir".into());
    refused(&bed, &bundle, &["no-such-dir"]);
    fs::write(bundle.dir().join("file"), "").unwrap();
    bundle.set("/root/path", "file".into());
    refused(&bed, &bundle, &["file"]);
    symlink("loop", bundle.dir().join("loop")).unwrap();
    bundle.set("/root/path", "loop".into());
    refused(&bed, &bundle, &["loop"]);
}

#[test]
fn an_empty_root_file_system() {
    let bed = Bed::new("hemptyfs");
    let mut bundle = bed.bundle();
    fs::create_dir(bundle.dir().join("empty")).unwrap();
    bundle.set("/root/path", "empty".into());
    bundle.args(&["/bin/true"]);
    refused(&bed, &bundle, &["/bin/true"]);
}

#[test]
fn an_entry_point_that_is_not_there() {
    let bed = Bed::new("habsent");
    for program in ["/no/such/program", "no-such-program", "/etc/passwd/x", "/dev/null/x"] {
        let mut bundle = bed.bundle();
        bundle.args(&[program]);
        refused(&bed, &bundle, &[program]);
    }
}

#[test]
fn an_entry_point_that_cannot_be_executed() {
    let bed = Bed::new("hnoexec");
    for program in ["/etc/passwd", "/etc", "/dev/null"] {
        let mut bundle = bed.bundle();
        bundle.args(&[program]);
        refused(&bed, &bundle, &[program]);
    }
}

#[test]
fn an_entry_point_that_is_no_program() {
    let bed = Bed::new("hformat");
    let mut bundle = bed.bundle();
    let executable = |path: std::path::PathBuf, bytes: &[u8]| {
        testkit::write_programs(|| fs::write(&path, bytes)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    executable(bundle.rootfs("bytes"), b"\x00\x01\x02\x03");
    executable(bundle.rootfs("empty"), b"");
    executable(bundle.rootfs("script"), b"#!/no/such/interpreter\n");
    executable(bundle.rootfs("elf"), b"\x7fELF\x02\x01\x01\x00");
    for program in ["/bytes", "/empty", "/script", "/elf"] {
        bundle.args(&[program]);
        // These are found out by execve, so a created container exists already.
        let output = bed.run(&bundle);
        assert_ne!(output.code, 0, "{program}: {output:?}");
        if bed.is_product() {
            assert!(output.stderr.contains(program), "{program}: {output:?}");
        }
    }
}

#[test]
fn links_that_lead_out_of_the_root_lead_nowhere() {
    let bed = Bed::new("hlinks");
    let canary = Canary::new(&bed.dir().join("canary"));
    let outside = canary.dir().display().to_string();
    for place in ["proc", "sys", "dev", "etc", "tmp", "bin"] {
        for target in [outside.clone(), format!("../../../../../../..{outside}")] {
            let mut bundle = bed.bundle();
            fs::rename(bundle.rootfs(place), bundle.rootfs("moved")).unwrap();
            symlink(target, bundle.rootfs(place)).unwrap();
            bundle.args(&["/moved/busybox", "true"]);
            if place != "dev" || bed.is_product() {
                bed.run(&bundle);
                canary.assert_untouched();
            }
        }
    }
}

#[test]
fn a_mount_target_of_the_other_kind() {
    let bed = Bed::new("hkind");
    let mut bundle = bed.bundle();
    fs::write(bed.dir().join("file"), "").unwrap();
    fs::create_dir(bundle.rootfs("mnt/dir")).unwrap();
    bundle.mount("/mnt/dir", "bind", bed.dir().join("file"), &["bind"]).args(&["/bin/true"]);
    refused(&bed, &bundle, &["/mnt/dir"]);
    let mut bundle = bed.bundle();
    fs::write(bundle.rootfs("mnt/file"), "").unwrap();
    bundle.mount("/mnt/file", "tmpfs", "tmpfs", &[]).args(&["/bin/true"]);
    refused(&bed, &bundle, &["/mnt/file"]);
}

#[test]
fn state_that_is_damaged() {
    let bed = Bed::new("hstate");
    beyond_reference!(bed, "delete --force that heals damaged state");
    let bundle = bed.bundle();
    let container = bed.create(&bundle);
    let state = bed.root().join(container.id());
    for entry in fs::read_dir(&state).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            fs::write(entry.path(), "{ not json").unwrap();
        }
    }
    container.call("state", &[]).output().refused();
    container.delete_force().ok();
    assert!(!state.exists());
    container.wait();
}
