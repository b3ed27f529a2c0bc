//! The runtime killed, or failing, at every one of its steps: nothing stays behind that
//! `delete --force` does not take away, and an error takes everything away by itself.
//!
//! Steps are `failpoint::step` in the runtime; it has to be built with the feature `failpoints`.

mod steps;
mod victims;

use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use testkit::{Bed, Bundle, Invocation, require};

/// A bundle with a little of everything: what takes steps to make takes steps to undo.
fn rich(bed: &Bed) -> Bundle {
    let mut bundle = bed.bundle();
    bundle.mount("/mnt/data", "bind", bed.dir(), &["rbind", "ro"]);
    bundle.set("/linux/resources/pids", json!({ "limit": 50 }));
    bundle.set("/linux/resources/memory", json!({ "limit": 64 << 20 }));
    bundle.push("/linux/devices", json!({ "path": "/dev/extra", "type": "c", "major": 1, "minor": 5 }));
    for hook in ["createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        bundle.push(&format!("/hooks/{hook}"), json!({ "path": "/bin/true" }));
    }
    bundle.sh("exec sleep 1000");
    bundle
}

/// How many steps the process with the most of them takes in this call. The call is made.
///
/// # Panics
/// If it fails, or if the runtime has no failpoints.
#[track_caller]
fn count_steps(bed: &Bed, bundle: &Bundle, call: Invocation) -> usize {
    let log = bed.dir().join("steps");
    // Once it is in its root, the runtime finds the name there.
    let inside = bundle.rootfs(log.to_str().expect("a path of ours"));
    fs::create_dir_all(inside.parent().expect("a directory")).expect("bundle");
    drop(fs::remove_file(&log));
    call.env("LONGSHORE_FAILPOINT", "count").env("LONGSHORE_FAILPOINT_LOG", &log).output().ok();
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let text = read(&log) + &read(&inside);
    require!(!text.is_empty(), "the runtime is built without the feature `failpoints`");
    let mut most: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        // Lines of processes that write at once may be mixed up.
        let [count, process, _] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
        if let Ok(count) = count.parse() {
            let entry = most.entry(process).or_default();
            *entry = (*entry).max(count);
        }
    }
    most.into_values().max().expect("a line")
}
