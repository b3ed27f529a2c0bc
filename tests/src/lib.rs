//! Harness of the black-box suites: what runs a runtime, looks at the result and cleans up.
//!
//! A test makes a [`Bed`], takes bundles and containers from it, and asserts on what the probe saw
//! or on the kernel's own state. When the bed is dropped it deletes what is left and fails the
//! test if anything of it remains: see [`ledger`].
//!
//! Suites of the image crates take real images from [`images`] and a real registry from [`registry`].
//!
//! The runtime under test is `LONGSHORE_TEST_RUNTIME`, else the `longshore-runtime` that was built
//! into the same profile directory as the test. All names that a bed gives out carry its id, so
//! tests run in parallel and look only at their own.

mod bed;
mod bundle;
pub mod canary;
pub mod cgroups;
pub mod console;
mod container;
pub mod dockerd;
pub mod errno;
pub mod identity;
pub mod images;
mod invocation;
mod keeper;
pub mod ledger;
pub mod longshored;
pub mod mountinfo;
pub mod racer;
pub mod registry;
pub mod report;
pub mod tool;
mod wait;

pub use bed::Bed;
pub use bundle::Bundle;
pub use container::{Container, Detached};
pub use invocation::{Invocation, Output, write_programs};
pub use wait::{patience, race_rounds, rounds, wait_for_exit};

/// Fails the test when the machine cannot run it. A test never passes without having run.
#[macro_export]
macro_rules! require {
    ($condition:expr, $($why:tt)+) => {
        assert!($condition, "this machine cannot run the test: {}", format_args!($($why)+))
    };
}

/// Ends the test early when the runtime under test is a reference that lacks what the product
/// promises, and says so. With the product itself this does nothing.
#[macro_export]
macro_rules! beyond_reference {
    ($bed:expr, $($what:tt)+) => {
        if !$bed.is_product() {
            $bed.say(format_args!("not asked of a reference runtime: {}", format_args!($($what)+)));
            return;
        }
    };
}
