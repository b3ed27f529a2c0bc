//! Starts the racer, which exchanges two names as fast as it can.

use crate::bed::{Bed, profile_dir};
use std::path::Path;
use std::process::{Child, Stdio};

/// A running racer. It stops when dropped.
#[derive(Debug)]
pub struct Racer(Child);

impl Racer {
    /// Exchanges `first` and `second` until dropped. Both exist.
    ///
    /// # Panics
    /// If the racer is not built.
    pub fn new(bed: &Bed, first: &Path, second: &Path) -> Racer {
        let program = profile_dir().join("racer");
        crate::require!(program.is_file(), "{} is not there: build package testkit", program.display());
        Racer(bed.call(program).arg(first).arg(second).stdin(Stdio::null()).spawn())
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        self.0.kill().expect("kill a child of ours");
        self.0.wait().expect("a child of ours");
    }
}
