//! Speed through Docker's API, beside Debian's dockerd, podman's service and the floor.
//!
//! ```text
//! api [--rounds N] [--longshored PROGRAM] [--only NAME,NAME] [--what SCENARIO,SCENARIO] [--burst N]
//! ```
//! Scenarios: `idle`, `latency`, `burst`, `list`, `logs`, `growth`. Containers have no network; the image is a
//! static busybox in one layer. Each daemon has a fresh ext4 of its own on a loop device and its state on a
//! tmpfs. `longshore-runtime` is expected beside `longshored`, and both beside this program. The last lines
//! say what was promised and whether it is so.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::print_stderr, reason = "and says what a daemon could not do")]

mod measure;
mod work;

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
};

use longshore_benches::{Samples, served::Served, table};
use measure::{Bottom, Burst};

const OURS: &str = "longshored";
/// Containers of a peer's burst: it would take minutes.
const PEERS_BURST: usize = 50;

/// What was measured of us, for the verdicts; what was not is not judged.
#[derive(Debug, Default)]
struct Found {
    verdicts: Vec<(String, f64, Bound)>,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    Most(f64),
    Least(f64),
}

impl Found {
    fn most(&mut self, what: &str, value: f64, bound: f64) {
        self.verdicts.push((what.to_owned(), value, Bound::Most(bound)));
    }

    fn least(&mut self, what: &str, value: f64, bound: f64) {
        self.verdicts.push((what.to_owned(), value, Bound::Least(bound)));
    }

    /// Prints them; whether all are as promised.
    fn print(&self) -> bool {
        let mut all = true;
        for (what, value, bound) in &self.verdicts {
            // What is not a number was not measured, and is no pass.
            let (pass, limit) = match bound {
                Bound::Most(most) => (value <= most, format!("at most {most:.3}")),
                Bound::Least(least) => (value >= least, format!("at least {least:.3}")),
            };
            all &= pass;
            println!("{} {what}: {value:.3}, {limit}", if pass { "pass" } else { "FAIL" });
        }
        all
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut rounds, mut count, mut asked, mut only, mut what) = (60, 200, None, None, None);
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        if arg == Bottom::ROLE {
            return Ok(Bottom::serve(Path::new(&value))?);
        }
        match arg.as_str() {
            "--rounds" => rounds = value.parse()?,
            "--burst" => count = value.parse()?,
            "--longshored" => asked = Some(PathBuf::from(value)),
            "--only" => only = Some(value),
            "--what" => what = Some(value),
            _ => return Err(format!("unknown argument {arg}").into()),
        }
    }
    let chosen = |list: &Option<String>, name: &str| {
        list.as_ref().is_none_or(|list| list.split(',').any(|one| one == name))
    };
    let program = measure::program(asked)?;
    let mut daemons = Vec::new();
    if chosen(&only, OURS) {
        daemons.push(Served::longshored(&program)?);
    }
    if chosen(&only, "dockerd") {
        daemons.push(Served::dockerd()?);
    }
    if chosen(&only, "podman") {
        daemons.push(Served::podman()?);
    }
    let mut found = Found::default();
    if chosen(&what, "idle") {
        idle(&mut daemons, &mut found);
    }
    let rootfs = tempfile::tempdir()?;
    let tar = work::image(rootfs.path())?;
    for daemon in &daemons {
        work::import(&mut daemon.connect()?, &tar).map_err(|error| format!("{}: {error}", daemon.name))?;
    }
    if chosen(&what, "latency") {
        latency(&daemons, rounds, &mut found)?;
    }
    if chosen(&what, "burst") {
        burst(&mut daemons, count, &mut found);
    }
    if chosen(&what, "list") {
        list(&daemons, rounds, &mut found);
    }
    if chosen(&what, "logs") {
        logs(&daemons, rounds, &mut found);
    }
    if chosen(&what, "growth") {
        growth(&daemons, &mut found);
    }
    drop(daemons);
    if found.print() { Ok(()) } else { Err("not everything is as promised".into()) }
}

fn ours(rows: &[Samples]) -> f64 {
    median(rows, OURS)
}

/// Milliseconds.
fn median(rows: &[Samples], name: &str) -> f64 {
    rows.iter().find(|row| row.name == name).map_or(f64::NAN, |row| row.median() / 1e3)
}

fn title(text: &str) {
    println!("\n## {text}");
}

fn idle(daemons: &mut [Served], found: &mut Found) {
    title("idle, no container yet");
    for daemon in daemons.iter_mut() {
        measure::line(
            "first start to answer, ms",
            daemon.name,
            format!("{:.1}", daemon.ready.as_secs_f64() * 1e3),
        );
        if daemon.name == OURS {
            let again = measure::empty_start(daemon).median() / 1e3;
            measure::line("start to answer, ms", daemon.name, format!("{again:.1}"));
            found.most("start without containers, ms", again, 50.0);
        }
    }
    let idle = measure::idle(daemons);
    for (daemon, (resident, wakes)) in daemons.iter().zip(idle) {
        let resident = megabytes(resident);
        measure::line("resident, MB", daemon.name, format!("{resident:.1}"));
        measure::line("wake-ups in a second", daemon.name, format!("{wakes:.1}"));
        if daemon.name == OURS {
            found.most("idle, resident MB", resident, 25.0);
            found.most("idle, wake-ups in a second", wakes, 0.1);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "megabytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn latency(daemons: &[Served], rounds: usize, found: &mut Found) -> Result<(), Box<dyn Error>> {
    let [cycle, exec, run] = measure::latency(daemons, &mut Bottom::new()?, rounds)?;
    for (what, rows) in [
        ("create, start, wait, remove", &cycle),
        ("exec: create, start, inspect", &exec),
        ("docker run --rm, stock client", &run),
    ] {
        title(what);
        print!("{}", table(rows));
    }
    if !daemons.iter().any(|daemon| daemon.name == OURS) {
        return Ok(());
    }
    let floor = median(&cycle, "floor");
    found.most(&format!("life cycle, ms (floor {floor:.2})"), ours(&cycle), 2.0 * floor + 2.0);
    for peer in daemons.iter().filter(|daemon| daemon.name != OURS) {
        let ratio = median(&cycle, peer.name) / ours(&cycle);
        let least = if peer.name == "dockerd" { 25.0 } else { 1.0 };
        found.least(&format!("life cycle, times faster than {}", peer.name), ratio, least);
    }
    found.most("exec, ms", ours(&exec), 4.0);
    found.most("docker run --rm, ms", ours(&run), 45.0);
    Ok(())
}

fn burst(daemons: &mut [Served], count: usize, found: &mut Found) {
    title("burst, 16 at a time");
    for daemon in daemons {
        let count = if daemon.name == OURS { count } else { count.min(PEERS_BURST) };
        let burst = measure::burst(daemon, count);
        let Burst { starts, removals, restart } = burst.unwrap_or_default();
        measure::line(&format!("{count} starts, in a second"), daemon.name, format!("{starts:.1}"));
        measure::line(&format!("{count} removals, in a second"), daemon.name, format!("{removals:.1}"));
        if daemon.name == OURS {
            found.least(&format!("{count} starts at 16 in parallel, in a second"), starts, 150.0);
            let restart = restart.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
            measure::line(&format!("restart with {count} running, ms"), daemon.name, format!("{restart:.1}"));
            found.most(&format!("restart with {count} running, ms"), restart, 150.0);
        }
    }
}

fn list(daemons: &[Served], rounds: usize, found: &mut Found) {
    let rows: Vec<Samples> = daemons.iter().map(|daemon| measure::listing(daemon, rounds)).collect();
    title("list of 500 containers");
    print!("{}", table(&rows));
    if rows.iter().any(|row| row.name == OURS) {
        found.most("list of 500 containers, ms", ours(&rows), 10.0);
    }
}

fn logs(daemons: &[Served], rounds: usize, found: &mut Found) {
    title("log of 1 GB");
    let mut rows = Vec::new();
    for daemon in daemons {
        let (seconds, samples) = measure::logs(daemon, rounds);
        measure::line("written, MB in a second", daemon.name, format!("{:.0}", 1000.0 / seconds));
        rows.push(samples);
    }
    print!("{}", table(&rows));
    if rows.iter().any(|row| row.name == OURS) {
        found.most("logs --tail 10 of 1 GB, ms", ours(&rows), 20.0);
    }
}

fn growth(daemons: &[Served], found: &mut Found) {
    let Some(daemon) = daemons.iter().find(|daemon| daemon.name == OURS) else { return };
    title("growth");
    let (bytes, files) = measure::growth(daemon).unwrap_or((f64::NAN, f64::NAN));
    measure::line("growth over 2,000 cycles, MB", daemon.name, format!("{:.2}", bytes / 1e6));
    measure::line("growth in open files", daemon.name, files);
    found.most("growth over 2,000 cycles, MB", bytes / 1e6, 2.0);
    found.most("growth over 2,000 cycles, open files", files, 2.0);
}
