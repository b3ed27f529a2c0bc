//! Power loss at every step, on ext4 with its own journal.
//!
//! The store is on a loop-mounted file. The child is killed at its n-th step, and the file is copied as it is:
//! what the kernel had not yet written is not in the copy. The copy is mounted, which replays the journal, and the store
//! is opened on it.

use std::{fs, path::Path, process::Command};

use crate::{
    bed::{Bed, Mounted, assert_accounted, open_at},
    crash::run_child,
    operations::{self, check},
};

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().expect(program);
    assert!(status.success(), "{program} {arguments:?}");
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn at_every_step(operation: &str) {
    let bed = Bed::new();
    let (base, image, after) = (bed.beside("base"), bed.beside("image"), bed.beside("after"));
    run("truncate", &["-s", "24M", &text(&base)]);
    run("mkfs.ext4", &["-q", "-O", "^resize_inode", "-J", "size=4", &text(&base)]);
    {
        let _mounted = Mounted::image(&bed.root(), &base);
        operations::prepare(&open_at(&bed.root().join("data")).0).expect("prepared");
        run("sync", &["-f", &text(&bed.root())]);
    }
    settled(&bed.root());
    for step in 1.. {
        run("cp", &["--sparse=always", &text(&base), &text(&image)]);
        let (went_through, acknowledged, steps) = {
            let _mounted = Mounted::image(&bed.root(), &image);
            fs::remove_file(bed.beside("steps")).ok();
            let failpoint = format!("kill@{step}");
            let (output, acknowledged, steps) =
                run_child(&bed, &bed.root().join("data"), operation, &failpoint);
            run("cp", &["--sparse=always", &text(&image), &text(&after)]);
            (output.status.success(), acknowledged, steps)
        };
        settled(&bed.root());
        {
            let _mounted = Mounted::image(&bed.root(), &after);
            let (store, recovery) = open_at(&bed.root().join("data"));
            let context = format!("{operation} cut off at step {step}: {recovery:?}");
            assert_eq!(recovery.damaged, Vec::<String>::new(), "{context}");
            check(&store, operation, &acknowledged, &context);
            assert_accounted(&store);
            let report = store.check().expect("a check");
            assert_eq!(report.damaged, Vec::<String>::new(), "{context}");
            operations::run(&store, operation).unwrap_or_else(|error| panic!("{context}: again: {error}"));
            assert_accounted(&store);
        }
        settled(&bed.root());
        // Steps of several threads: the last ones before a kill may be missing in the log.
        if steps < step && went_through {
            assert!(acknowledged.iter().any(|what| what == operation), "{operation}");
            assert!(step > 8, "{operation} has {steps} steps");
            return;
        }
    }
}

/// A lazy unmount is done when the place is an empty directory again, and its loop device free.
fn settled(root: &Path) {
    assert_eq!(fs::read_dir(root).expect("the place").count(), 0);
}

#[test]
fn pull() {
    at_every_step("pull");
}

#[test]
fn resume() {
    at_every_step("resume");
}

#[test]
fn layer() {
    at_every_step("layer");
}

#[test]
fn tag() {
    at_every_step("tag");
}

#[test]
fn remove() {
    at_every_step("remove");
}

#[test]
fn create() {
    at_every_step("create");
}

#[test]
fn commit() {
    at_every_step("commit");
}

#[test]
fn throw() {
    at_every_step("throw");
}
