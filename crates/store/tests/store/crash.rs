//! What is left when the process is killed, or fails, at its n-th step, for all n.
//!
//! The store is used by a child: this test binary again, with `LONGSHORE_STORE_FAILPOINT` set.

use std::process::{Command, Output};

use crate::{
    bed::{Bed, assert_accounted, open_at},
    operations::{self, check},
};

/// Runs in the child: opens the store and does one operation.
#[test]
#[ignore = "the child of the other tests"]
fn child() {
    let (Some(root), Ok(operation)) =
        (std::env::var_os("LONGSHORE_STORE_ROOT"), std::env::var("LONGSHORE_STORE_OPERATION"))
    else {
        return;
    };
    let (store, _) = open_at(root.as_ref());
    operations::run(&store, &operation).expect("the operation");
}

/// What a child did before its end, and how many steps that was.
pub(crate) fn run_child(
    bed: &Bed,
    root: &std::path::Path,
    operation: &str,
    failpoint: &str,
) -> (Output, Vec<String>, usize) {
    let log = bed.beside("steps");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env("LONGSHORE_STORE_ROOT", root)
        .env("LONGSHORE_STORE_OPERATION", operation)
        .env("LONGSHORE_STORE_FAILPOINT", failpoint)
        .env("LONGSHORE_STORE_FAILPOINT_LOG", &log)
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The first line follows the harness's own words.
    let acknowledged =
        text.lines().filter_map(|line| line.split_once("ack ")).map(|(_, what)| what.to_owned()).collect();
    let steps = std::fs::read_to_string(log).unwrap_or_default().lines().count();
    (output, acknowledged, steps)
}

/// Cuts an operation short at every step, and looks at what is left.
fn at_every_step(operation: &str, action: &str) {
    for step in 1.. {
        let bed = Bed::new();
        operations::prepare(&bed.store()).expect("prepared");
        let (output, acknowledged, steps) =
            run_child(&bed, &bed.root(), operation, &format!("{action}@{step}"));
        let context = format!(
            "{operation} {action}@{step}: {}",
            String::from_utf8_lossy(&output.stderr).lines().take(3).collect::<Vec<_>>().join(" ")
        );
        let (store, recovery) = bed.open();
        assert_eq!(recovery.damaged, Vec::<String>::new(), "{context}");
        assert_eq!(recovery.emptied, Vec::<u64>::new(), "{context}");
        check(&store, operation, &acknowledged, &context);
        assert_accounted(&store);
        operations::run(&store, operation).unwrap_or_else(|error| panic!("{context}: again: {error}"));
        check(&store, operation, &[operation.to_owned()], &context);
        assert_accounted(&store);
        drop(store);
        let (_, recovery) = bed.open();
        assert!(recovery.is_clean() || recovery.trash > 0, "{context}: {recovery:?}");
        // Steps of several threads: the last ones before a kill may be missing in the log.
        if steps < step && output.status.success() {
            // There was no such step: the operation went through.
            assert!(acknowledged.iter().any(|what| what == operation), "{context}");
            assert!(step > 8, "{operation} has {steps} steps");
            return;
        }
    }
}

macro_rules! operations {
    ($($name:ident),*) => {
        mod killed {
            $(#[test] fn $name() { super::at_every_step(stringify!($name), "kill"); })*
        }
        mod failing {
            $(#[test] fn $name() { super::at_every_step(stringify!($name), "error"); })*
        }
        mod full {
            $(#[test] fn $name() { super::at_every_step(stringify!($name), "full"); })*
        }
        /// No operation was forgotten here.
        #[test]
        fn every_operation_has_its_tests() {
            assert_eq!(operations::ALL, [$(stringify!($name)),*]);
        }
    };
}

operations!(
    pull, resume, blob, layer, tag, untag, remove, collect, create, commit, throw, lease, release, drop
);
