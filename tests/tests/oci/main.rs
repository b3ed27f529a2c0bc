//! What an OCI runtime does, seen from inside and outside of the container.

mod commands;
mod credentials;
mod exec;
mod hooks;
mod kill;
mod labels;
mod lifecycle;
mod limits;
mod mounts;
mod namespaces;
mod pause;
mod process;
mod rootless;
mod seccomp;
mod settings;
mod terminals;
mod update;
mod users;

use testkit::{Bed, Bundle, Container};

/// Starts a container that says `ready` and waits for a signal.
fn idle<'b>(bed: &'b Bed, bundle: &mut Bundle) -> Container<'b> {
    bundle.sh("echo ready; sleep 1000");
    let container = bed.start(bundle);
    assert_eq!(container.line(), "ready");
    container
}
