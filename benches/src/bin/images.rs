//! Pull, push and removal of one real image by this project and by others, beside the machine's limit.
//!
//! ```text
//! images --image DIR [--rounds N] [--ours PROGRAM] [--only NAME,NAME]
//! ```
//! `DIR` is what `scripts/bench-images.sh` made. Each engine has a fresh ext4 of its own on a loop device;
//! the registry is Debian's, on the loopback, its files in the page cache. In each round every engine does
//! one step before any does the next. `PROGRAM` is `crates/image`'s example `images`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::print_stderr, reason = "and says where it is, as it takes minutes")]

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

use longshore_benches::{
    engine::{Cost, Engine, Work},
    limit::{Image, Limit},
};
use serde_json::Value;
use testkit::{registry::Registry, tool};

/// The steps of a round, in their order.
const STEPS: [&str; 5] = ["pull", "pull again", "push", "push again", "remove"];
/// How often the quick steps are done in a round.
const AGAIN: usize = 5;
const NAME: &str = "bench/big:1";

fn main() -> Result<(), Box<dyn Error>> {
    let (mut rounds, mut dir, mut ours, mut only) = (3, None, None, None);
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--rounds" => rounds = value.parse()?,
            "--image" => dir = Some(PathBuf::from(value)),
            "--ours" => ours = Some(PathBuf::from(value)),
            "--only" => only = Some(value),
            _ => return Err(format!("unknown argument {arg}").into()),
        }
    }
    let dir = dir.ok_or("--image DIR is what scripts/bench-images.sh made")?;
    let image = read(&dir)?;
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == name));

    let registry = Registry::start();
    let memory = tempfile::tempdir()?;
    let mut copy = tool::skopeo("copy", memory.path());
    copy.args(["--format", "v2s2"]).arg(format!("oci:{}:big", dir.join("layout").display()));
    tool::run(copy.arg(format!("docker://{}", registry.image(NAME))));

    let mut engines = Vec::new();
    if let Some(program) = ours.filter(|_| wanted("longshore")) {
        engines.push(Engine::ours(&program)?);
    }
    if wanted("dockerd") {
        engines.push(Engine::dockerd()?);
    }
    if wanted("podman") {
        engines.push(Engine::podman()?);
    }
    println!(
        "# {:.0} MB in {} layers, {:.0} MB and {:.0} entries unpacked; {rounds} rounds",
        image.compressed / 1e6,
        image.layers.len(),
        image.unpacked / 1e6,
        image.entries
    );
    let mut results: Vec<Vec<Vec<Cost>>> = vec![vec![Vec::new(); STEPS.len()]; engines.len()];
    for _ in 0..rounds {
        round(&engines, &registry, &mut results)?;
    }
    report(&engines, &results, &Limit::measure(&image)?);
    Ok(())
}

/// Does one step, keeps what it took, and says so.
fn step(engine: &Engine, step: usize, work: Work<'_>, results: &mut [Vec<Cost>]) -> io::Result<()> {
    let cost = engine.run(work)?;
    eprintln!(
        "{} {}: {:.3} s, CPU {:.2} s",
        engine.name,
        STEPS[step],
        cost.time.as_secs_f64(),
        cost.processor
    );
    results[step].push(cost);
    Ok(())
}

/// One round of all steps. A push goes to a registry that has nothing.
fn round(engines: &[Engine], registry: &Registry, results: &mut [Vec<Vec<Cost>>]) -> io::Result<()> {
    let image = registry.image(NAME);
    for (engine, results) in engines.iter().zip(&mut *results) {
        step(engine, 0, Work::Pull(&image), results)?;
    }
    for _ in 0..AGAIN {
        for (engine, results) in engines.iter().zip(&mut *results) {
            step(engine, 1, Work::Pull(&image), results)?;
        }
    }
    for (engine, results) in engines.iter().zip(&mut *results) {
        let empty = Registry::start();
        let name = empty.image(NAME);
        engine.run(Work::Tag(&image, &name))?;
        step(engine, 2, Work::Push(&name), results)?;
        for _ in 0..AGAIN {
            step(engine, 3, Work::Push(&name), results)?;
        }
        engine.run(Work::Remove(&name))?;
    }
    for (engine, results) in engines.iter().zip(&mut *results) {
        step(engine, 4, Work::Remove(&image), results)?;
    }
    Ok(())
}

/// The sizes of the image in `dir`.
fn read(dir: &Path) -> Result<Image, Box<dyn Error>> {
    let facts = fs::read_to_string(dir.join("facts"))?;
    let mut facts = facts.split_whitespace().map(str::parse::<f64>);
    let mut fact = || facts.next().ok_or("two facts");
    let (unpacked, entries) = (fact()??, fact()??);
    let blobs = dir.join("layout/blobs/sha256");
    let blob = |descriptor: &Value| -> Option<PathBuf> {
        Some(blobs.join(descriptor["digest"].as_str()?.strip_prefix("sha256:")?))
    };
    let index: Value = serde_json::from_slice(&fs::read(dir.join("layout/index.json"))?)?;
    let manifest = blob(&index["manifests"][0]).ok_or("an index with a manifest")?;
    let manifest: Value = serde_json::from_slice(&fs::read(manifest)?)?;
    let layers = manifest["layers"].as_array().ok_or("layers")?;
    let compressed = layers.iter().filter_map(|layer| layer["size"].as_f64()).sum();
    let layers = layers.iter().filter_map(blob).collect();
    Ok(Image { layers, compressed, unpacked, entries })
}

/// Minimum and median.
fn low(costs: &[Cost], value: impl Fn(&Cost) -> f64) -> (f64, f64) {
    let mut values: Vec<f64> = costs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2))
}

fn report(engines: &[Engine], results: &[Vec<Vec<Cost>>], limit: &Limit) {
    println!(
        "{:<12} {:<10} {:>3} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "", "n", "min s", "median s", "synced s", "CPU s", "peak MB"
    );
    for (step, name) in STEPS.iter().enumerate() {
        for (engine, results) in engines.iter().zip(results) {
            let costs = &results[step];
            let (min, median) = low(costs, |cost| cost.time.as_secs_f64());
            let synced = low(costs, |cost| cost.synced.as_secs_f64()).1;
            let processor = low(costs, |cost| cost.processor).1;
            #[expect(clippy::cast_precision_loss, reason = "megabytes")]
            let peak = costs.iter().map(|cost| cost.peak).max().unwrap_or(0) as f64 / 1e6;
            println!(
                "{name:<12} {:<10} {:>3} {min:>9.3} {median:>9.3} {synced:>9.3} {processor:>9.2} {peak:>9.0}",
                engine.name,
                costs.len(),
            );
        }
    }
    println!("{limit}");
    for (engine, results) in engines.iter().zip(results) {
        let (min, median) = low(&results[0], |cost| cost.time.as_secs_f64());
        let synced = low(&results[0], |cost| cost.synced.as_secs_f64()).1;
        println!(
            "{:<10} pull / limit: {:.2} (min {:.2}) of the cached, {:.2} of the durable when synced",
            engine.name,
            median / limit.cached(),
            min / limit.cached(),
            synced / limit.durable(),
        );
    }
    if let Some(ours) = engines.iter().position(|engine| engine.name == "longshore") {
        verdicts(engines, results, ours, limit);
    }
}

/// What was promised, and whether it is so.
fn verdicts(engines: &[Engine], results: &[Vec<Vec<Cost>>], ours: usize, limit: &Limit) {
    let seconds = |engine: usize, step: usize| low(&results[engine][step], |cost| cost.time.as_secs_f64()).1;
    let say = |what: &str, value: f64, most: f64| {
        println!("{} {what}: {value:.3}, at most {most}", if value <= most { "pass" } else { "FAIL" });
    };
    for (peer, engine) in engines.iter().enumerate().filter(|(index, _)| *index != ours) {
        say(&format!("pull / {}", engine.name), seconds(ours, 0) / seconds(peer, 0), 0.35);
        let processor = |engine: usize| low(&results[engine][0], |cost| cost.processor).1;
        say(&format!("pull, CPU / {}", engine.name), processor(ours) / processor(peer), 0.6);
        if engine.name == "dockerd" {
            say("remove / dockerd", seconds(ours, 4) / seconds(peer, 4), 0.5);
        }
    }
    say("pull / limit", seconds(ours, 0) / limit.durable(), 1.4);
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let peak = results[ours][0].iter().map(|cost| cost.peak).max().unwrap_or(0) as f64 / 1e6;
    say("memory, MB", peak, 120.0);
    say("pull again, s", seconds(ours, 1), 0.03);
    say("push again, s", seconds(ours, 3), 0.05);
}
