//! create, start, state, delete, run.

use serde_json::Value;
use std::fs;
use testkit::{Bed, cgroups, require, rounds};

#[test]
fn run_returns_the_exit_code_and_the_output() {
    let bed = Bed::new("run");
    let mut bundle = bed.bundle();
    bundle.sh("echo out; echo err >&2; exit 7");
    let output = bed.run(&bundle);
    assert_eq!((output.code, output.stdout.as_str()), (7, "out\n"), "{output:?}");
    assert!(output.stderr.contains("err\n"), "{output:?}");
}

#[test]
fn run_returns_128_and_the_signal() {
    let bed = Bed::new("runsig");
    let mut bundle = bed.bundle();
    bundle.sh("sh -c 'kill -9 $$'; exit $?");
    assert_eq!(bed.run(&bundle).code, 128 + 9);
}

#[test]
fn run_deletes_the_container_unless_asked_to_keep_it() {
    let bed = Bed::new("keep");
    let mut bundle = bed.bundle();
    bundle.sh("exit 3");
    let id = bed.container_id();
    let dir = bundle.dir().to_str().unwrap();
    assert_eq!(bed.runtime(&["run", "--bundle", dir, &id]).output().code, 3);
    bed.runtime(&["state", &id]).output().refused();
    let id = bed.container_id();
    assert_eq!(bed.runtime(&["run", "--keep", "--bundle", dir, &id]).output().code, 3);
    let state: Value = bed.runtime(&["state", &id]).output().ok().json();
    assert_eq!(state["status"], "stopped");
    bed.runtime(&["delete", &id]).output().ok();
}

#[test]
fn run_passes_standard_input() {
    let bed = Bed::new("stdin");
    let mut bundle = bed.bundle();
    bundle.args(&["/bin/cat"]);
    let input = bed.dir().join("input");
    fs::write(&input, "from outside\n").unwrap();
    let id = bed.container_id();
    let run = bed.runtime(&["run", "--bundle"]).arg(bundle.dir()).arg(&id);
    assert_eq!(run.stdin(fs::File::open(&input).unwrap()).output().ok().stdout, "from outside\n");
}

#[test]
fn run_in_the_background_returns_at_once() {
    let bed = Bed::new("detach");
    let mut bundle = bed.bundle();
    bundle.sh("read x < /tmp/fifo; exit 0");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bundle.rootfs("tmp/fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let id = bed.container_id();
    let pid_file = bed.dir().join("pid");
    let run =
        bed.runtime(&["run", "--detach", "--pid-file"]).arg(&pid_file).arg("--bundle").arg(bundle.dir());
    run.arg(&id).output().ok();
    let state: Value = bed.runtime(&["state", &id]).output().ok().json();
    assert_eq!(state["status"], "running");
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), state["pid"].to_string());
    bed.runtime(&["delete", "--force", &id]).output().ok();
}

#[test]
fn the_bundle_is_the_working_directory_by_default() {
    let bed = Bed::new("cwd");
    let mut bundle = bed.bundle();
    bundle.sh("echo here");
    let id = bed.container_id();
    let output = bed.runtime(&["run", &id]).current_dir(bundle.dir()).output().ok();
    assert_eq!(output.stdout, "here\n");
}

#[test]
fn create_start_wait_delete() {
    let bed = Bed::new("create");
    let mut bundle = bed.bundle();
    bundle.sh("echo started; exit 3");
    bundle.set("/annotations", serde_json::json!({ "org.example.key": "value" }));
    let container = bed.create(&bundle);
    let state = container.state();
    assert_eq!(state["status"], "created", "{state}");
    assert_eq!(state["id"], container.id(), "{state}");
    assert_eq!(state["bundle"], bundle.dir().to_str().unwrap(), "{state}");
    assert_eq!(state["annotations"]["org.example.key"], "value", "{state}");
    assert!(state["ociVersion"].as_str().is_some_and(|version| version.starts_with("1.")), "{state}");
    container.start().ok();
    assert_eq!(container.line(), "started");
    assert_eq!(container.wait(), 3);
    let state = container.state();
    assert_eq!(state["status"], "stopped", "{state}");
    assert!(state["pid"].is_null() || state["pid"] == 0, "{state}");
    container.delete().ok();
    container.call("state", &[]).output().refused();
}

#[test]
fn created_is_not_started() {
    let bed = Bed::new("notyet");
    let mut bundle = bed.bundle();
    bundle.sh("touch /started");
    let container = bed.create(&bundle);
    assert!(!bundle.rootfs("started").exists());
    container.start().ok();
    container.wait();
    assert!(bundle.rootfs("started").exists());
}

#[test]
fn a_created_container_can_be_deleted() {
    let bed = Bed::new("delcreat");
    let container = bed.create(&bed.bundle());
    container.kill("KILL").ok();
    container.wait();
    container.delete().ok();
    let container = bed.create(&bed.bundle());
    container.delete_force().ok();
    container.wait();
}

#[test]
fn ids_are_unique() {
    let bed = Bed::new("twice");
    let bundle = bed.bundle();
    let container = bed.create(&bundle);
    let other = bed.bundle();
    let error = bed.runtime(&["create", "--bundle"]).arg(other.dir()).arg(container.id()).output().refused();
    assert!(error.contains("exist") || error.contains("in use"), "{error}");
    // The first is none the worse for it.
    assert_eq!(container.status(), "created");
}

#[test]
fn a_container_starts_once() {
    let bed = Bed::new("once");
    let mut bundle = bed.bundle();
    let container = super::idle(&bed, &mut bundle);
    container.start().refused();
    assert_eq!(container.status(), "running");
    container.kill("KILL").ok();
    container.wait();
    container.start().refused();
}

#[test]
fn a_running_container_is_not_deleted_without_force() {
    let bed = Bed::new("delrun");
    let mut bundle = bed.bundle();
    let container = super::idle(&bed, &mut bundle);
    container.delete().refused();
    assert_eq!(container.status(), "running");
    container.delete_force().ok();
    container.wait();
    container.call("state", &[]).output().refused();
}

#[test]
fn unknown_containers_are_an_error_except_for_delete_by_force() {
    let bed = Bed::new("unknown");
    let id = bed.container_id();
    for command in ["state", "start", "delete", "pause", "resume", "ps"] {
        let error = bed.runtime(&[command, &id]).output().refused();
        assert!(error.contains("not exist"), "{command}: {error}");
    }
    bed.runtime(&["kill", &id, "KILL"]).output().refused();
    bed.runtime(&["exec", &id, "true"]).output().refused();
    bed.runtime(&["delete", "--force", &id]).output().ok();
}

#[test]
fn ids_are_names_and_not_paths() {
    let bed = Bed::new("badid");
    let bundle = bed.bundle();
    for id in ["", ".", "..", "../x", "a/b", "/abs", "a b", "ä", "a\nb"] {
        let output = bed.runtime(&["create", "--bundle"]).arg(bundle.dir()).arg(id).output();
        assert_ne!(output.code, 0, "{id:?}: {output:?}");
    }
    assert_eq!(fs::read_dir(bed.root()).unwrap().count(), 0);
}

#[test]
fn the_pid_file_holds_the_pid_of_init() {
    let bed = Bed::new("pidfile");
    let pid_file = bed.dir().join("pid");
    let container = bed.try_create(&bed.bundle(), &["--pid-file", pid_file.to_str().unwrap()]).unwrap();
    assert_eq!(fs::read_to_string(pid_file).unwrap(), container.pid().to_string());
}

#[test]
fn a_root_file_system_by_absolute_path_and_through_a_link() {
    let bed = Bed::new("rootfs");
    let mut bundle = bed.bundle();
    bundle.sh("echo in");
    let absolute = bundle.rootfs("");
    bundle.set("/root/path", absolute.to_str().unwrap().into());
    assert_eq!(bed.run(&bundle).ok().stdout, "in\n");
    bundle.set("/root/path", "./rootfs".into());
    assert_eq!(bed.run(&bundle).ok().stdout, "in\n");
}

#[test]
fn no_pivot_runs_as_well() {
    let bed = Bed::new("nopivot");
    let mut bundle = bed.bundle();
    bundle.sh("ls /; ls /..");
    let output = bed.run_with(&bundle, &["--no-pivot"]).ok();
    let (inside, above) = output.stdout.split_at(output.stdout.len() / 2);
    assert!(inside.contains("probe"), "{inside}");
    assert_eq!(inside, above);
}

#[test]
fn many_containers_side_by_side() {
    let bed = Bed::new("many");
    let mut bundle = bed.bundle();
    bundle.remove("/linux/cgroupsPath");
    let mut containers = Vec::new();
    for number in 0..8 {
        bundle.set("/linux/cgroupsPath", format!("/{}-m{number}", bed.id()).into());
        containers.push(super::idle(&bed, &mut bundle));
    }
    let pids: std::collections::BTreeSet<i32> = containers.iter().map(testkit::Container::pid).collect();
    assert_eq!(pids.len(), 8);
    for container in &containers {
        container.kill("KILL").ok();
        assert_eq!(container.wait(), 128 + 9);
        container.delete().ok();
    }
}

/// Some kernels kill what is born from a cgroup whose `cgroup.kill` was used (docs/kernel.md).
#[test]
fn containers_are_made_from_a_cgroup_that_was_killed_once() {
    const SCRIPT: &str = "echo 0 > \"$0/cgroup.procs\" && exec \"$@\"";
    let bed = Bed::new("killedonce");
    let tree = cgroups::hierarchies().into_iter().find(|tree| tree.join("cgroup.controllers").is_file());
    require!(tree.is_some(), "no cgroup version 2");
    let cgroup = tree.unwrap().join(bed.id());
    fs::create_dir(&cgroup).unwrap();
    fs::write(cgroup.join("cgroup.kill"), "1").unwrap();
    let inside = |args: &[&str]| {
        let call = bed.call("/bin/sh").args(["-c", SCRIPT]).arg(&cgroup).arg(bed.program());
        call.arg("--root").arg(bed.root()).args(args).output()
    };
    let mut bundle = bed.bundle();
    bundle.sh("exec sleep 1000");
    let container = bed.start(&bundle);
    let mut bundle = bed.bundle();
    bundle.args(&["/bin/true"]);
    for _ in 0..rounds(20) {
        inside(&["run", "--bundle", bundle.dir().to_str().unwrap(), &bed.container_id()]).ok();
        inside(&["exec", container.id(), "/bin/true"]).ok();
    }
    container.delete_force().ok();
    fs::remove_dir(&cgroup).unwrap();
}
