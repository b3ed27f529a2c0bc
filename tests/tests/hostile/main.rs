//! Bundles made to break the runtime. Each gets an error of one line that names the field or the
//! file, a failing exit code, and leaves nothing behind (the bed's ledger sees to that).

mod documents;
mod files;

use testkit::{Bed, Bundle, Output};

/// Runs a bundle that has to be refused, in both ways of making a container.
#[track_caller]
fn refused(bed: &Bed, bundle: &Bundle, named: &[&str]) {
    let run = bed.run(bundle);
    assert_refusal(bed, &run, named);
    let create = bed.try_create(bundle, &[]).expect_err("create has to refuse it as well");
    assert_refusal(bed, &create, named);
    let left: Vec<_> = std::fs::read_dir(bed.root()).expect("state directory").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[track_caller]
fn assert_refusal(bed: &Bed, output: &Output, named: &[&str]) {
    assert_ne!(output.code, 0, "{output:?}");
    if bed.is_product() {
        // What runc uses for every error of its own, unless it crashes, as it does for `null`.
        assert_eq!(output.code, 1, "{output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "one line: {output:?}");
        assert!(output.stderr.len() < 8192, "a line to read: {} bytes", output.stderr.len());
        assert!(
            named.is_empty() || named.iter().any(|name| output.stderr.contains(name)),
            "none of {named:?} in {:?}",
            output.stderr
        );
        assert!(!output.stderr.contains("panicked"), "{output:?}");
    }
}
