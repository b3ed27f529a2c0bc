//! Daemons that serve Docker's API, each with its data on a disk of its own and its state on a tmpfs.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::mount::MountFlags;
use serde_json::Value;
use testkit::dockerd::Dockerd;

use crate::{disk::Disk, usage, wire::Connection};

/// Megabytes of each daemon's disk: a log of one gigabyte, and room.
const DISK: u32 = 4000;
/// A daemon that does not answer after this long does not start.
const START: Duration = Duration::from_secs(30);

/// A daemon that runs. Dropping it removes its containers and ends it.
#[derive(Debug)]
pub struct Served {
    pub name: &'static str,
    kind: Kind,
    socket: PathBuf,
    /// Of the last start: until it answered.
    pub ready: Duration,
    disk: Disk,
}

#[derive(Debug)]
enum Kind {
    Dockerd(Dockerd),
    Podman(Child),
    Ours { program: PathBuf, child: Child },
}

impl Served {
    /// `longshored`, with the `longshore-runtime` beside it.
    pub fn longshored(program: &Path) -> io::Result<Self> {
        let program = program.canonicalize()?;
        let disk = prepared("longshored", &["exec"])?;
        let start = Instant::now();
        let child = spawn_longshored(&program, disk.path())?;
        let socket = disk.path().join("sock");
        let kind = Kind::Ours { program, child };
        let mut served = Self { name: "longshored", kind, socket, ready: Duration::ZERO, disk };
        served.ready = served.wait_until_ready(start)?;
        Ok(served)
    }

    /// Debian's dockerd, with its own containerd and without a bridge.
    pub fn dockerd() -> io::Result<Self> {
        let disk = prepared("api-dockerd", &["exec"])?;
        let start = Instant::now();
        let kind = Kind::Dockerd(Dockerd::start_in(disk.path()));
        let socket = disk.path().join("sock");
        Ok(Self { name: "dockerd", kind, socket, ready: start.elapsed(), disk })
    }

    /// Podman's service of the same API, on runc.
    pub fn podman() -> io::Result<Self> {
        let disk = prepared("api-podman", &["run"])?;
        let dir = disk.path();
        // What this kernel and podman's defaults do not agree on: the layout of cgroups, and limits above ours.
        let settings = "[engine]\nruntime=\"runc\"\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"file\"\n\
                        [containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=1024:1024\"]\n";
        fs::write(dir.join("containers.conf"), settings)?;
        let socket = dir.join("sock");
        let mut command = ending_with_us("podman");
        command.env("CONTAINERS_CONF", dir.join("containers.conf"));
        command.arg("--root").arg(dir.join("root")).arg("--runroot").arg(dir.join("run"));
        command.args(["--storage-driver", "overlay", "system", "service", "--time=0"]);
        command.arg(format!("unix://{}", socket.display()));
        let start = Instant::now();
        let child = quiet(&mut command, &dir.join("log"))?;
        let mut served =
            Self { name: "podman", kind: Kind::Podman(child), socket, ready: Duration::ZERO, disk };
        served.ready = served.wait_until_ready(start)?;
        Ok(served)
    }

    /// A connection of one's own.
    pub fn connect(&self) -> io::Result<Connection> {
        Connection::open(&self.socket)
    }

    /// `docker ARGS…` with this daemon, without anybody's configuration.
    #[must_use]
    pub fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_CONFIG", self.disk.path().join("config")).env_remove("DOCKER_CONTEXT");
        command.arg("--host").arg(format!("unix://{}", self.socket.display())).args(args);
        command
    }

    /// The daemon's process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        match &self.kind {
            Kind::Dockerd(daemon) => daemon.pid(),
            Kind::Podman(child) | Kind::Ours { child, .. } => child.id().cast_signed(),
        }
    }

    /// Resident bytes of the daemon with what it cannot do without: dockerd's containerd, our spawner.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let mut pids = usage::tree(self.pid());
        pids.extend(self.spawner());
        pids.into_iter().map(usage::resident).sum()
    }

    /// The process that starts containers, if it is not the daemon's child: the one whose arguments name our
    /// directory.
    fn spawner(&self) -> Option<i32> {
        let ours = self.disk.path().to_str()?.as_bytes();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(command) = fs::read(entry.path().join("cmdline")) else { continue };
            let mut words = command.split(|byte| *byte == 0);
            let named =
                words.any(|word| word == b"spawner") && command.windows(ours.len()).any(|at| at == ours);
            if named {
                return entry.file_name().to_str()?.parse().ok();
            }
        }
        None
    }

    /// Kills the daemon, and starts it again: what it took until it answered. Only ours lets containers live.
    pub fn crash_and_restart(&mut self) -> io::Result<Duration> {
        let Kind::Ours { program, child } = &mut self.kind else {
            return Err(io::Error::other("containers of this daemon do not outlive it"));
        };
        child.kill()?;
        child.wait()?;
        let start = Instant::now();
        *child = spawn_longshored(program, self.disk.path())?;
        self.ready = self.wait_until_ready(start)?;
        Ok(self.ready)
    }

    /// Removes every container, running or not.
    pub fn remove_containers(&self) -> io::Result<()> {
        let mut connection = self.connect()?;
        let all: Value = serde_json::from_slice(&connection.ask("GET", "/containers/json?all=1")?)?;
        for container in all.as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default();
            connection.ask("DELETE", &format!("/containers/{id}?force=1&v=1"))?;
        }
        Ok(())
    }

    fn wait_until_ready(&mut self, start: Instant) -> io::Result<Duration> {
        loop {
            let answered = self.connect().and_then(|mut daemon| daemon.ask("GET", "/_ping"));
            if answered.is_ok() {
                return Ok(start.elapsed());
            }
            let ended = match &mut self.kind {
                Kind::Dockerd(_) => None,
                Kind::Podman(child) | Kind::Ours { child, .. } => child.try_wait()?,
            };
            if ended.is_some() || start.elapsed() > START {
                let log = fs::read_to_string(self.disk.path().join("log")).unwrap_or_default();
                return Err(io::Error::other(format!("{} does not start:\n{log}", self.name)));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.remove_containers().ok();
        let spawner = self.spawner();
        if let Kind::Podman(child) | Kind::Ours { child, .. } = &mut self.kind {
            end(child.id().cast_signed());
            child.wait().ok();
        }
        if let (Kind::Ours { .. }, Some(pid)) = (&self.kind, spawner) {
            end(pid);
        }
    }
}

fn end(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
    }
}

/// A disk with a tmpfs on the directory of each name, as `/run` is one.
fn prepared(name: &str, volatile: &[&str]) -> io::Result<Disk> {
    let disk = Disk::new(name, DISK)?;
    for name in volatile {
        let directory = disk.path().join(name);
        fs::create_dir(&directory)?;
        rustix::mount::mount("tmpfs", &directory, "tmpfs", MountFlags::empty(), None)?;
    }
    Ok(disk)
}

fn spawn_longshored(program: &Path, dir: &Path) -> io::Result<Child> {
    let mut command = ending_with_us(program);
    command.arg("--data-root").arg(dir.join("data")).arg("--exec-root").arg(dir.join("exec"));
    command.arg("-H").arg(format!("unix://{}", dir.join("sock").display()));
    quiet(&mut command, &dir.join("log"))
}

/// A command that ends when this process does, however that happens.
fn ending_with_us(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program.as_ref());
    command
}

fn quiet(command: &mut Command, log: &Path) -> io::Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}
