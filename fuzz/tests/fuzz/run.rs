//! Each target: its corpus, then changed inputs for a few seconds.

use fastrand::Rng;
use fuzzkit::mutate::{fields, mutate, reseal};
use fuzzkit::target::TARGETS;
use fuzzkit::{corpus, setting};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What the process may take at its peak: the largest window and buffers, and room.
const MEMORY_KIB: u64 = 200 << 10;

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let mut inputs = corpus(name);
    assert!(inputs.len() >= 3, "the corpus of {name} has {} inputs", inputs.len());
    let check = |input: &[u8]| {
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        let slow = start.elapsed() > Duration::from_secs(5);
        if outcome.is_err() || slow {
            let path = std::env::temp_dir().join(format!("longshore-fuzz-{name}-{}", std::process::id()));
            fs::write(&path, input).expect("keep the input");
            panic!("{name}: {} (slow: {slow})", path.display());
        }
        outcome.unwrap_or_default()
    };
    let taken = inputs.iter().filter(|input| check(input)).count();
    assert!(taken > 0, "nothing of the corpus of {name} is taken");
    assert!(taken < inputs.len(), "nothing of the corpus of {name} is refused");
    let seeds = inputs.clone();
    let mut rng = Rng::with_seed(setting("LONGSHORE_FUZZ_SEED", 1));
    let end = Instant::now() + Duration::from_secs(setting("LONGSHORE_FUZZ_SECONDS", 3));
    let mut rounds = 0u64;
    while Instant::now() < end || rounds < 100 {
        let mut input = inputs[rng.usize(..inputs.len())].clone();
        if name == "tar" && rng.bool() {
            fields(&mut input, &mut rng);
        } else {
            mutate(&mut input, &seeds, &mut rng);
        }
        if name == "tar" {
            reseal(&mut input);
        }
        // What is taken is worth changing further.
        if check(&input) && inputs.len() < 500 {
            inputs.push(input);
        }
        rounds += 1;
    }
    let peak = peak();
    assert!(peak < MEMORY_KIB, "{name} took {peak} KiB in {rounds} rounds");
}

/// The largest resident size of this process so far, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn tar() {
    run("tar");
}

#[test]
fn compress() {
    run("compress");
}

#[test]
fn manifest() {
    run("manifest");
}

#[test]
fn config() {
    run("config");
}

#[test]
fn reference() {
    run("reference");
}
