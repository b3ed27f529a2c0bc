//! The unmodified `docker` client against longshored and against dockerd: the same script, and the same to be seen.
//!
//! A script is a text of shell lines (`scripts/*.sh`). Each line runs in a directory of its engine's own, with
//! `DOCKER_HOST` set; its exit code, output and messages are compared once ids, times and the engine's own sizes are
//! replaced. What differs on purpose is said in the script, on the line before, with its reason:
//!
//! ```text
//! #~ REASON     only the exit code of the next line is compared
//! #! REASON     nothing of the next line is compared
//! ```

mod engine;
mod normal;
mod script;

use script::compare;

#[test]
fn containers_live_and_end() {
    compare(include_str!("scripts/life.sh"));
}

#[test]
fn files_go_in_and_out() {
    compare(include_str!("scripts/files.sh"));
}

#[test]
fn images_are_named_and_removed() {
    compare(include_str!("scripts/images.sh"));
}

#[test]
fn volumes_are_kept_and_copied() {
    compare(include_str!("scripts/volumes.sh"));
}

#[test]
fn the_rest_is_there_too() {
    compare(include_str!("scripts/system.sh"));
}
