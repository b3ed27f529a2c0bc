//! What the benchmark programs share: samples, tables, a fresh file system, a bundle.
//!
//! A benchmark interleaves what it compares (A B A B …), throws its first rounds away, and prints
//! minimum, median and 95th percentile in microseconds, and ratios of medians.

pub mod bundle;
pub mod disk;
pub mod engine;
pub mod floor;
pub mod limit;
pub mod served;
pub mod usage;
pub mod wire;

use std::{fmt::Write, time::Duration};

/// Times of one thing, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    pub name: String,
    micros: Vec<f64>,
}

impl Samples {
    /// No samples yet of the thing called `name`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), micros: Vec::new() }
    }

    /// Adds one.
    pub fn push(&mut self, time: Duration) {
        self.micros.push(time.as_secs_f64() * 1e6);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.micros.len()
    }

    /// The value below which `percent` of the samples lie, in microseconds; not a number when empty.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get(last * percent / 100).copied().unwrap_or(f64::NAN)
    }

    /// The median, in microseconds.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }
}

/// A table of samples, each with the ratio of its median to that of the first row.
#[must_use]
pub fn table(rows: &[Samples]) -> String {
    let mut text =
        format!("{:<44} {:>4} {:>9} {:>9} {:>9} {:>7}\n", "", "n", "min µs", "median", "p95", "ratio");
    let first = rows.first().map_or(f64::NAN, Samples::median);
    for row in rows {
        // Writing to a String cannot fail.
        let _ok = writeln!(
            text,
            "{:<44} {:>4} {:>9.0} {:>9.0} {:>9.0} {:>7.2}",
            row.name,
            row.count(),
            row.percentile(0),
            row.median(),
            row.percentile(95),
            row.median() / first,
        );
    }
    text
}
