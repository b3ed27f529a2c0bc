//! The measurements. What a daemon cannot do is said, and leaves its row out.

use std::{
    ffi::CString,
    fmt::Display,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use longshore_benches::{Samples, disk::Disk, floor::Floor, served::Served, usage, wire::Connection};
use longshore_runtime::cgroup::Layout;
use serde_json::{Value, json};

use crate::work;

const WARM_UP: usize = 3;
/// How long an idle daemon is looked at.
const IDLE: Duration = Duration::from_secs(10);
/// Containers of a list.
const LISTED: usize = 500;
/// Bytes of the log, in lines of a hundred.
const LOG: usize = 1_000_000_000;
/// Lines asked of it.
const TAIL: usize = 10;
/// Life cycles after which a daemon must be as small as before.
const CYCLES: usize = 2000;

/// Says what a daemon cannot do.
fn tell<T>(daemon: &Served, what: &str, result: io::Result<T>) -> Option<T> {
    result.inspect_err(|error| eprintln!("{}: {what}: {error}", daemon.name)).ok()
}

/// The kernel's own cost of a life cycle, on a disk of its own.
///
/// It clones itself without an exec, which takes a process with one thread: so it is a process of its own,
/// this program again, that makes and removes one container for each line it reads.
pub(crate) struct Bottom {
    child: Child,
    answers: BufReader<ChildStdout>,
    _disk: Disk,
}

impl Bottom {
    /// The argument that makes this program the floor.
    pub(crate) const ROLE: &str = "--floor-below";

    pub(crate) fn new() -> io::Result<Self> {
        let disk = Disk::new("api-floor", 512)?;
        work::image(&disk.path().join("rootfs"))?;
        std::fs::create_dir(disk.path().join("scratch"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(Self::ROLE).arg(disk.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let answers = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, answers: BufReader::new(answers), _disk: disk })
    }

    /// From nothing to gone, once.
    fn run(&mut self) -> io::Result<Duration> {
        let asked = self.child.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        asked.write_all(b"\n")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let nanos = answer.trim().parse().map_err(|_| io::Error::other("the floor ended"))?;
        Ok(Duration::from_nanos(nanos))
    }

    /// The floor's side.
    pub(crate) fn serve(disk: &Path) -> io::Result<()> {
        let host = Layout::detect().map_err(io::Error::other)?;
        let floor = Floor::of_host(&host, disk.join("rootfs"), disk.join("scratch"), true)?;
        let args = [CString::new("/bin/true")?];
        for line in io::stdin().lines() {
            line?;
            let nanos = floor.run(&args)?.to_gone.as_nanos();
            println!("{nanos}");
        }
        Ok(())
    }
}

impl Drop for Bottom {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// Idle memory (bytes) and wake-ups in a second of each daemon, all looked at during the same time.
pub(crate) fn idle(daemons: &[Served]) -> Vec<(u64, f64)> {
    // What a start leaves to be done is over by then.
    thread::sleep(Duration::from_secs(2));
    let before: Vec<u64> = daemons.iter().map(|daemon| usage::wake_ups(daemon.pid())).collect();
    thread::sleep(IDLE);
    let now = daemons.iter().zip(before).map(|(daemon, before)| {
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let wakes = usage::wake_ups(daemon.pid()).saturating_sub(before) as f64;
        (daemon.resident(), wakes / IDLE.as_secs_f64())
    });
    now.collect()
}

/// Latencies of the life cycle, of exec and of the client's `run`, one after the other in each round.
/// The floor is the first row of the first table.
pub(crate) fn latency(
    daemons: &[Served],
    bottom: &mut Bottom,
    rounds: usize,
) -> io::Result<[Vec<Samples>; 3]> {
    let named = || daemons.iter().map(|daemon| Samples::new(daemon.name)).collect::<Vec<_>>();
    let mut tables = [named(), named(), named()];
    let mut floor = Samples::new("floor");
    let mut connections: Vec<Connection> =
        daemons.iter().map(Served::connect).collect::<io::Result<Vec<_>>>()?;
    let mut sleepers = Vec::new();
    for (daemon, connection) in daemons.iter().zip(&mut connections) {
        sleepers.push(tell(daemon, "a container that runs", sleeper(connection)));
    }
    for round in 0..WARM_UP + rounds {
        let keep = round >= WARM_UP;
        let time = bottom.run()?;
        if keep {
            floor.push(time);
        }
        for (index, daemon) in daemons.iter().enumerate() {
            let connection = &mut connections[index];
            let mut measure = |table: usize, what: &str, result: io::Result<Duration>| {
                if let (Some(time), true) = (tell(daemon, what, result), keep) {
                    tables[table][index].push(time);
                }
            };
            measure(0, "life cycle", timed(|| work::life_cycle(connection)));
            if let Some(id) = &sleepers[index] {
                measure(1, "exec", timed(|| work::exec(daemon, connection, id)));
            }
            // Podman's service does not speak this client's way to attach: not asked again.
            if round == 0 || keep && daemon.name != "podman" {
                measure(2, "docker run", timed(|| work::run(daemon)));
            }
        }
    }
    tables[0].insert(0, floor);
    for (daemon, connection) in daemons.iter().zip(&mut connections) {
        if let Some(Some(id)) = sleepers.first() {
            tell(daemon, "remove", work::remove(connection, id)).unwrap_or_default();
        }
        sleepers.remove(0);
    }
    Ok(tables)
}

fn sleeper(connection: &mut Connection) -> io::Result<String> {
    let id = work::create(connection, &work::config(&["sleep", "3600"]))?;
    work::start(connection, &id)?;
    Ok(id)
}

fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// What a burst gave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Burst {
    /// Containers that started in a second.
    pub(crate) starts: f64,
    /// That were removed, running, in a second.
    pub(crate) removals: f64,
    /// From the start of a daemon that was killed to its first answer, all containers known to run.
    pub(crate) restart: Option<Duration>,
}

/// Starts many containers 16 at a time, kills the daemon if that leaves them alone, removes them all.
pub(crate) fn burst(daemon: &mut Served, count: usize) -> Option<Burst> {
    let result = burst_of(daemon, count);
    if result.is_err() {
        daemon.remove_containers().ok();
    }
    tell(daemon, "burst", result)
}

fn burst_of(daemon: &mut Served, count: usize) -> io::Result<Burst> {
    let mut connection = daemon.connect()?;
    let config = work::config(&["sleep", "3600"]);
    let ids: Vec<String> =
        (0..count).map(|_| work::create(&mut connection, &config)).collect::<io::Result<_>>()?;
    let per_second = |time: Duration| {
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let count = count as f64;
        count / time.as_secs_f64()
    };
    let starts = per_second(work::in_parallel(daemon, &ids, work::start)?);
    let restart = if daemon.name == "longshored" { Some(daemon.crash_and_restart()?) } else { None };
    let running = list(&mut daemon.connect()?, "/containers/json")?;
    if running != count {
        return Err(io::Error::other(format!("{running} of {count} run after the burst")));
    }
    let removals = per_second(work::in_parallel(daemon, &ids, work::remove)?);
    Ok(Burst { starts, removals, restart })
}

fn list(connection: &mut Connection, path: &str) -> io::Result<usize> {
    let listed: Value = serde_json::from_slice(&connection.ask("GET", path)?)?;
    Ok(listed.as_array().map_or(0, Vec::len))
}

/// Lists 500 containers.
pub(crate) fn listing(daemon: &Served, rounds: usize) -> Samples {
    let mut samples = Samples::new(daemon.name);
    let result = (|| {
        let mut connection = daemon.connect()?;
        let config = work::config(&["true"]);
        let ids: Vec<String> =
            (0..LISTED).map(|_| work::create(&mut connection, &config)).collect::<io::Result<_>>()?;
        for _ in 0..rounds {
            let start = Instant::now();
            let body = connection.ask("GET", "/containers/json?all=1")?;
            samples.push(start.elapsed());
            let listed: Value = serde_json::from_slice(&body)?;
            if listed.as_array().map(Vec::len) != Some(LISTED) {
                return Err(io::Error::other("a list without some of its containers"));
            }
        }
        work::in_parallel(daemon, &ids, work::remove)
    })();
    if tell(daemon, "list", result).is_none() {
        daemon.remove_containers().ok();
    }
    samples
}

/// Writes a log of one gigabyte, and reads its last lines: seconds of the former, samples of the latter.
pub(crate) fn logs(daemon: &Served, rounds: usize) -> (f64, Samples) {
    let (mut seconds, mut samples) = (f64::NAN, Samples::new(daemon.name));
    let result = (|| {
        let mut connection = daemon.connect()?;
        let script = format!("yes {:0>99} | head -c {LOG}", 1);
        let mut config = work::config(&["sh", "-c", &script]);
        // Larger than any default; podman names its drivers otherwise, and keeps everything.
        if daemon.name != "podman" {
            let options = json!({ "max-size": "4g", "max-file": "1" });
            config["HostConfig"]["LogConfig"] = json!({ "Type": "json-file", "Config": options });
        }
        let id = work::create(&mut connection, &config)?;
        let start = Instant::now();
        work::start(&mut connection, &id)?;
        work::wait(&mut connection, &id)?;
        seconds = start.elapsed().as_secs_f64();
        let path = format!("/containers/{id}/logs?stdout=1&stderr=1&tail={TAIL}");
        for _ in 0..rounds {
            // Some daemons end a log with the connection.
            let mut connection = daemon.connect()?;
            let start = Instant::now();
            let body = connection.ask("GET", &path)?;
            samples.push(start.elapsed());
            let lines = body.iter().filter(|byte| **byte == b'\n').count();
            if lines != TAIL {
                return Err(io::Error::other(format!("{lines} lines instead of {TAIL}")));
            }
        }
        work::remove(&mut connection, &id)
    })();
    if tell(daemon, "logs", result).is_none() {
        daemon.remove_containers().ok();
    }
    (seconds, samples)
}

/// What many life cycles left behind: bytes of memory, open files.
pub(crate) fn growth(daemon: &Served) -> Option<(f64, f64)> {
    let cycles = |count: usize| -> io::Result<()> {
        let mut connection = daemon.connect()?;
        (0..count).try_for_each(|_| work::life_cycle(&mut connection))
    };
    let size = || {
        #[expect(clippy::cast_precision_loss, reason = "sizes of processes")]
        let size = (daemon.resident() as f64, usage::open_files(daemon.pid()) as f64);
        size
    };
    // The caches are filled by then.
    tell(daemon, "life cycles", cycles(CYCLES / 10))?;
    let before = size();
    tell(daemon, "life cycles", cycles(CYCLES))?;
    let after = size();
    Some((after.0 - before.0, after.1 - before.1))
}

/// Times to the first answer of a daemon without containers.
pub(crate) fn empty_start(daemon: &mut Served) -> Samples {
    let mut samples = Samples::new(daemon.name);
    for _ in 0..5 {
        let result = daemon.crash_and_restart();
        if let Some(time) = tell(daemon, "start", result) {
            samples.push(time);
        }
    }
    samples
}

/// One line of a table of numbers.
pub(crate) fn line(what: &str, who: &str, value: impl Display) {
    println!("{what:<32} {who:<12} {value}");
}

/// The daemon that is beside this program, or where the command line says.
pub(crate) fn program(asked: Option<PathBuf>) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let program = asked.unwrap_or_else(|| own.with_file_name("longshored"));
    for needed in [program.as_path(), &program.with_file_name("longshore-runtime")] {
        if !Path::exists(needed) {
            let why = format!("no {}: build longshore-daemon and longshore-runtime", needed.display());
            return Err(io::Error::other(why));
        }
    }
    Ok(program)
}
