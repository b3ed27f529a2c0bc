//! Hooks: when they run, what they get, what their failure does.

use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use testkit::{Bed, Bundle};

const OUTSIDE: &[&str] = &["prestart", "createRuntime", "createContainer", "poststart", "poststop"];

/// Adds a hook that appends its name and keeps the state it was given.
fn add(bed: &Bed, bundle: &mut Bundle, name: &str) {
    let dir = if name == "startContainer" { PathBuf::from("/tmp") } else { bed.dir().to_owned() };
    let script =
        format!("echo {name} >> {0}/order; cat > {0}/state-{name}; env > {0}/env-{name}", dir.display());
    let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["HOOK=yes"] });
    bundle.push(&format!("/hooks/{name}"), hook);
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn hooks_run_in_order_and_get_the_state() {
    let bed = Bed::new("hooks");
    let mut bundle = bed.bundle();
    for name in OUTSIDE.iter().chain(&["startContainer"]) {
        add(&bed, &mut bundle, name);
    }
    bundle.sh("cat /tmp/order");
    let container = bed.create(&bundle);
    // runc 1.1 runs poststart at the end of create.
    let order = read(bed.dir().join("order"));
    let order = if bed.is_product() { order } else { order.replace("poststart\n", "") };
    assert_eq!(order, "prestart\ncreateRuntime\ncreateContainer\n");
    container.start().ok();
    assert_eq!(container.line(), "startContainer", "it runs inside, before the process");
    container.wait();
    container.delete().ok();
    assert_eq!(read(bed.dir().join("order")), OUTSIDE.join("\n") + "\n");
    for name in OUTSIDE {
        let state: Value = serde_json::from_str(&read(bed.dir().join(format!("state-{name}")))).unwrap();
        assert_eq!(state["id"], container.id(), "{name}: {state}");
        assert_eq!(state["bundle"], bundle.dir().to_str().unwrap(), "{name}: {state}");
        let status = state["status"].as_str().unwrap();
        let expected: &[&str] = match *name {
            "poststart" if bed.is_product() => &["running"],
            "poststop" => &["stopped"],
            _ => &["creating", "created"],
        };
        assert!(expected.contains(&status), "{name}: {state}");
        let env = read(bed.dir().join(format!("env-{name}")));
        assert!(env.lines().any(|line| line == "HOOK=yes"), "{name}: {env}");
    }
    let state: Value = serde_json::from_str(&read(bundle.rootfs("tmp/state-startContainer"))).unwrap();
    assert_eq!(state["id"], container.id());
}

#[test]
fn a_failing_hook_fails_create_and_leaves_nothing() {
    for name in ["prestart", "createRuntime", "createContainer"] {
        let bed = Bed::new("hookfail");
        let mut bundle = bed.bundle();
        bundle.push(
            &format!("/hooks/{name}"),
            json!({ "path": "/bin/sh", "args": ["sh", "-c", "echo told >&2; exit 3"] }),
        );
        let output = bed.try_create(&bundle, &[]).expect_err("a hook failed");
        assert!(output.stderr.contains("hook"), "{name}: {output:?}");
        assert_eq!(fs::read_dir(bed.root()).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_failing_start_hook_fails_start() {
    let bed = Bed::new("hookstart");
    let mut bundle = bed.bundle();
    bundle.push("/hooks/startContainer", json!({ "path": "/bin/false" }));
    bundle.sh("touch /tmp/ran");
    let container = bed.create(&bundle);
    container.start();
    container.wait();
    assert!(!bundle.rootfs("tmp/ran").exists());
}

#[test]
fn a_hook_that_is_not_there_is_an_error_that_names_it() {
    let bed = Bed::new("hookabs");
    let mut bundle = bed.bundle();
    bundle.push("/hooks/createRuntime", json!({ "path": "/no/such/hook" }));
    let output = bed.try_create(&bundle, &[]).expect_err("a hook is not there");
    assert!(output.stderr.contains("/no/such/hook"), "{output:?}");
}

#[test]
fn a_hook_that_takes_too_long_is_killed() {
    let bed = Bed::new("hooktime");
    let mut bundle = bed.bundle();
    let begin = std::time::Instant::now();
    bundle.push(
        "/hooks/createRuntime",
        json!({ "path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1 }),
    );
    bed.try_create(&bundle, &[]).expect_err("a hook took too long");
    assert!(begin.elapsed() < testkit::patience(), "{:?}", begin.elapsed());
}

#[test]
fn create_hooks_see_the_right_mounts() {
    let bed = Bed::new("hookns");
    let mut bundle = bed.bundle();
    for name in ["createRuntime", "createContainer"] {
        let script = format!("readlink /proc/self/ns/mnt > {}/ns-{name}", bed.dir().display());
        bundle.push(&format!("/hooks/{name}"), json!({ "path": "/bin/sh", "args": ["sh", "-c", script] }));
    }
    let container = bed.create(&bundle);
    let own = fs::read_link("/proc/self/ns/mnt").unwrap();
    let of_container = fs::read_link(format!("/proc/{}/ns/mnt", container.pid())).unwrap();
    assert_eq!(read(bed.dir().join("ns-createRuntime")).trim(), own.to_str().unwrap());
    assert_eq!(read(bed.dir().join("ns-createContainer")).trim(), of_container.to_str().unwrap());
}
