//! Engines that pull, push and remove images, each with its data on a disk of its own.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use testkit::dockerd::Dockerd;

use crate::{
    disk::Disk,
    usage::{self, Watch},
};

/// Megabytes of each engine's disk: the image, unpacked and packed, twice.
const DISK: u32 = 5000;

/// Who pulls.
#[derive(Debug)]
pub struct Engine {
    pub name: &'static str,
    kind: Kind,
    disk: Disk,
}

#[derive(Debug)]
enum Kind {
    Dockerd(Dockerd),
    Podman,
    /// A program with the subcommands `pull`, `push`, `rm` and `tag`, and `--root DIR` before them.
    Ours(PathBuf),
}

/// What an engine is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work<'n> {
    Pull(&'n str),
    Tag(&'n str, &'n str),
    Push(&'n str),
    Remove(&'n str),
}

/// What it took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub time: Duration,
    /// Until everything was on the disk.
    pub synced: Duration,
    pub processor: f64,
    pub peak: u64,
}

impl Engine {
    /// Debian's dockerd, with its own containerd.
    pub fn dockerd() -> io::Result<Self> {
        let disk = Disk::new("dockerd", DISK)?;
        let daemon = Dockerd::start_in(disk.path());
        Ok(Self { name: "dockerd", kind: Kind::Dockerd(daemon), disk })
    }

    /// Podman with the overlay driver.
    pub fn podman() -> io::Result<Self> {
        Ok(Self { name: "podman", kind: Kind::Podman, disk: Disk::new("podman", DISK)? })
    }

    /// This project's example program.
    pub fn ours(program: &Path) -> io::Result<Self> {
        let disk = Disk::new("longshore", DISK)?;
        Ok(Self { name: "longshore", kind: Kind::Ours(program.canonicalize()?), disk })
    }

    fn command(&self, work: Work<'_>) -> Command {
        let dir = self.disk.path();
        match &self.kind {
            Kind::Dockerd(daemon) => match work {
                Work::Pull(image) => daemon.docker(&["pull", "--quiet", image]),
                Work::Tag(image, name) => daemon.docker(&["tag", image, name]),
                Work::Push(image) => daemon.docker(&["push", "--quiet", image]),
                Work::Remove(image) => daemon.docker(&["rmi", image]),
            },
            Kind::Podman => {
                let mut command = Command::new("podman");
                command.arg("--root").arg(dir.join("root")).arg("--runroot").arg(dir.join("run"));
                command.args(["--storage-driver", "overlay"]);
                // Its store of pushed blobs is the engine's own as well.
                match work {
                    Work::Pull(image) => command.args(["pull", "--quiet", "--tls-verify=false", image]),
                    Work::Tag(image, name) => command.args(["tag", image, name]),
                    Work::Push(image) => command.args(["push", "--quiet", "--tls-verify=false", image]),
                    Work::Remove(image) => command.args(["rmi", image]),
                };
                command
            }
            Kind::Ours(program) => {
                let mut command = Command::new(program);
                command.arg("--root").arg(dir.join("root"));
                match work {
                    Work::Pull(image) => command.args(["pull", image]),
                    Work::Tag(image, name) => command.args(["tag", image, name]),
                    Work::Push(image) => command.args(["push", image]),
                    Work::Remove(image) => command.args(["rm", image]),
                };
                command
            }
        }
    }

    /// The daemon, if there is one.
    fn daemon(&self) -> Option<i32> {
        if let Kind::Dockerd(daemon) = &self.kind { Some(daemon.pid()) } else { None }
    }

    /// Does it, and measures.
    pub fn run(&self, work: Work<'_>) -> io::Result<Cost> {
        let disk = File::open(self.disk.path())?;
        rustix::fs::syncfs(&disk)?;
        let processor =
            || self.daemon().map_or(0.0, usage::processor_seconds) + usage::processor_seconds_of_ended();
        let before = processor();
        let mut command = self.command(work);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let start = Instant::now();
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        // A client of a daemon is not what pulls.
        let watch = Watch::new(vec![self.daemon().unwrap_or(pid)]);
        let output = child.wait_with_output()?;
        let time = start.elapsed();
        let peak = watch.peak();
        drop(watch);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{command:?}: {}: {}", output.status, said.trim())));
        }
        rustix::fs::syncfs(&disk)?;
        Ok(Cost { time, synced: start.elapsed(), processor: processor() - before, peak })
    }
}
