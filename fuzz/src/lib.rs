//! Fuzzing without a special compiler: a corpus that is committed, a mutator with a fixed seed, and targets.
//!
//! ```text
//! corpus/TARGET/*   inputs that once mattered, replayed by every test run
//! src/target.rs     what is done with an input; it must not panic, nor take much memory or time
//! src/mutate.rs     how inputs are changed
//! tests/fuzz/       runs of each target; and agreement with other readers of tar
//! ```
//!
//! A run lasts 3 s for each target, or `LONGSHORE_FUZZ_SECONDS`; the seed is fixed, or `LONGSHORE_FUZZ_SEED`.
//! An input that fails is left in the temporary directory and named; put it into the corpus with the fix.

pub mod mutate;
pub mod target;

use std::fs;
use std::path::Path;

/// The inputs that are committed for a target, in the order of their names.
#[must_use]
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("an input")).collect()
}

/// A number from the environment.
#[must_use]
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
