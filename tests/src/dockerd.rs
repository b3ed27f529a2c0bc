//! Debian's dockerd with everything of its own (data, containerd, socket), without a network: what
//! other tools' images are loaded into, and what ours are compared with.

use crate::keeper::Keeper;
use crate::mountinfo;
use crate::tool;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A dockerd that runs. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Dockerd {
    keeper: Option<Keeper>,
    dir: PathBuf,
    /// Removed when dropped, if the place is the daemon's own.
    temporary: Option<TempDir>,
}

impl Dockerd {
    /// One with its data in a temporary directory.
    pub fn start() -> Dockerd {
        let dir = tempfile::Builder::new().prefix("ls-dockerd-").tempdir().expect("a temporary directory");
        let mut dockerd = Dockerd::start_in(dir.path());
        dockerd.temporary = Some(dir);
        dockerd
    }

    /// One with its data in `dir`, which stays.
    ///
    /// # Panics
    /// If it does not start, with its log.
    pub fn start_in(dir: &Path) -> Dockerd {
        crate::require!(tool::has("dockerd"), "dockerd is not installed");
        crate::require!(tool::has("docker"), "docker is not installed");
        let at = |name: &str| dir.join(name).display().to_string();
        let (data, exec, pid, socket) = (at("data"), at("exec"), at("pid"), format!("unix://{}", at("sock")));
        let args = [
            "dockerd",
            "--data-root",
            &data,
            "--exec-root",
            &exec,
            "--pidfile",
            &pid,
            "--host",
            &socket,
            "--bridge",
            "none",
            "--iptables=false",
            "--ip6tables=false",
            "--storage-driver",
            "overlay2",
        ];
        let keeper = Keeper::start(&args, |line| line.contains("API listen on"));
        Dockerd { keeper: Some(keeper), dir: dir.to_owned(), temporary: None }
    }

    /// `docker ARGS…` with this daemon. `127.0.0.0/8` are insecure registries for it, as for any dockerd.
    pub fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        // No configuration of whoever runs the tests.
        command.env("DOCKER_CONFIG", self.dir.join("config")).env_remove("DOCKER_CONTEXT");
        command.arg("--host").arg(format!("unix://{}", self.dir.join("sock").display())).args(args);
        command
    }

    /// The directory with its data root, `data`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The daemon's process.
    pub fn pid(&self) -> i32 {
        let text = fs::read_to_string(self.dir.join("pid")).expect("the daemon's file");
        text.trim().parse().expect("a number")
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        self.keeper.as_ref().map(Keeper::log).unwrap_or_default()
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        drop(self.keeper.take());
        // Of containers that were left, and of a daemon that was killed.
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for mount in mountinfo::parse(&mounts).iter().rev() {
            if Path::new(&mount.point).starts_with(&self.dir) && Path::new(&mount.point) != self.dir {
                let _ = rustix::mount::unmount(mount.point.as_str(), rustix::mount::UnmountFlags::DETACH);
            }
        }
        drop(self.temporary.take());
    }
}
