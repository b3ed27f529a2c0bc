//! One test's place: a state directory with its own spawner, a root file system, containers.

use std::{
    fs,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::symlink,
    },
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use longshore_runtime::{
    cgroup,
    launch::{Connection, Control, Event, LaunchError, Launched, Launcher, Request, connect},
    plan::{self, Plan, ProcessPlan},
    spec::{self, Spec},
    wire::{ExitRecord, FdRole, Io, LogSink, Stdin, Target},
};
use longshore_types::ContainerId;
use rustix::fs::{Mode, OFlags};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_longshore-runtime");

const APPLETS: [&str; 14] =
    ["true", "sh", "sleep", "echo", "cat", "id", "dd", "tr", "stty", "head", "kill", "wc", "yes", "setsid"];

/// A test's place. Dropping it ends what was started in it.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) path: PathBuf,
    pub(crate) launcher: Launcher,
    name: String,
    spec: Spec,
    host: cgroup::Layout,
}

/// A container's directory, and the container.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) directory: OwnedFd,
    pub(crate) path: PathBuf,
    pub(crate) pid: i32,
    pub(crate) control: Control,
}

/// How a container is to be launched.
#[derive(Clone, Debug)]
pub(crate) struct How {
    pub(crate) io: Io,
    pub(crate) log: LogSink,
    pub(crate) terminal: bool,
    pub(crate) share_pids: bool,
    /// Made, not started.
    pub(crate) hold: bool,
    /// Bytes.
    pub(crate) memory: Option<i64>,
}

impl How {
    pub(crate) const DEFAULT: Self = Self {
        io: Io::Pipes { stdin: Stdin::Null },
        log: LogSink::Raw,
        terminal: false,
        share_pids: false,
        hold: false,
        memory: None,
    };
}

impl Default for How {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Bed {
    pub(crate) fn new(name: &str) -> Self {
        assert!(rustix::process::geteuid().is_root(), "this suite needs root");
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lsm-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        for directory in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            fs::create_dir_all(path.join("rootfs").join(directory)).unwrap();
        }
        fs::copy("/bin/busybox", path.join("rootfs/bin/busybox")).expect("package busybox-static");
        for applet in APPLETS {
            symlink("busybox", path.join("rootfs/bin").join(applet)).unwrap();
        }
        let made = Command::new(BINARY).args(["spec", "--bundle"]).arg(&path).status().unwrap();
        assert!(made.success());
        let spec = spec::load(&path.join("config.json")).unwrap();
        let launcher = Launcher::connect_or_start(&path.join("state"), Path::new(BINARY)).unwrap();
        let host = cgroup::Layout::detect().unwrap();
        Self { path, launcher, name, spec, host }
    }

    pub(crate) fn plan(&self, id: &str, args: &[&str], how: &How) -> Plan {
        let mut spec = self.spec.clone();
        let process = spec.process.as_mut().unwrap();
        process.args = args.iter().map(|&arg| arg.into()).collect();
        process.terminal = how.terminal;
        let linux = spec.linux.as_mut().unwrap();
        linux.cgroups_path = format!("/{}-{id}", self.name);
        if let Some(limit) = how.memory {
            let memory = spec::Memory { limit: Some(limit), ..Default::default() };
            linux.resources.get_or_insert_default().memory = Some(memory);
        }
        if how.share_pids {
            linux.namespaces.retain(|namespace| namespace.kind != spec::NamespaceKind::Pid);
        }
        let options = plan::Options {
            id: ContainerId::new(id).unwrap(),
            cgroup_driver: cgroup::Driver::Cgroupfs,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            rootless: false,
        };
        plan::plan(&spec, &self.path, &options, &self.host).unwrap()
    }

    /// A process for an exec.
    pub(crate) fn process(&self, args: &[&str], terminal: bool) -> ProcessPlan {
        let how = How { terminal, ..How::default() };
        self.plan("exec", args, &how).process
    }

    pub(crate) fn try_launch(
        &self,
        id: &str,
        args: &[&str],
        how: &How,
    ) -> Result<(Launched, OwnedFd, PathBuf), LaunchError> {
        self.try_launch_plan(id, &self.plan(id, args, how), how)
    }

    fn try_launch_plan(
        &self,
        id: &str,
        plan: &Plan,
        how: &How,
    ) -> Result<(Launched, OwnedFd, PathBuf), LaunchError> {
        let path = self.path.join(id);
        fs::create_dir_all(&path).unwrap();
        let directory = open(&path);
        let log = match &how.log {
            LogSink::Json { .. } => open(&path),
            LogSink::Raw | LogSink::None => log_file(&path.join("log")),
        };
        let fds = [(FdRole::Directory, directory.as_fd()), (FdRole::Log, log.as_fd())];
        let request = Request { plan, io: how.io, log: how.log.clone(), remove_cgroup: true, fds: &fds };
        let launched = match how.hold {
            true => self.launcher.create(&request)?,
            false => self.launcher.launch(&request)?,
        };
        Ok((launched, directory, path))
    }

    pub(crate) fn launch(&self, id: &str, args: &[&str], how: &How) -> Running {
        self.launch_plan(id, &self.plan(id, args, how), how)
    }

    pub(crate) fn launch_plan(&self, id: &str, plan: &Plan, how: &How) -> Running {
        let (launched, directory, path) = self.try_launch_plan(id, plan, how).unwrap();
        let Launched { pid, control, .. } = launched;
        Running { directory, path, pid, control }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if let Ok(Connection::Running(mut control)) = connect(open(&entry.path()).as_fd()) {
                control.signal(Target::Init, 9).ok();
                control.wait().ok();
            }
        }
        if let Ok(pid) = self.launcher.ping() {
            kill(pid.cast_signed());
        }
        fs::remove_dir_all(&self.path).ok();
    }
}

impl Running {
    /// Another connection to its monitor.
    pub(crate) fn connect(&self) -> Control {
        match connect(self.directory.as_fd()).unwrap() {
            Connection::Running(control) => control,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn log(&self) -> Vec<u8> {
        fs::read(self.path.join("log")).unwrap()
    }

    /// The exit record as it is on disk now.
    pub(crate) fn exit_record(&self) -> Option<ExitRecord> {
        let text = fs::read(self.path.join("exit.json")).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }
}

/// What a client hears until the container's end.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) exit: Option<ExitRecord>,
}

pub(crate) fn hear(control: &mut Control) -> Heard {
    let mut heard = Heard::default();
    loop {
        match control.next_event().unwrap() {
            Event::Stdout(bytes) => heard.stdout.extend(bytes),
            Event::Stderr(bytes) => heard.stderr.extend(bytes),
            Event::Exited(record) => {
                heard.exit = Some(record);
                return heard;
            }
            Event::ExecExited(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Reads output until `text` was in it.
pub(crate) fn hear_until(control: &mut Control, text: &str) -> String {
    let mut heard = String::new();
    while !heard.contains(text) {
        match control.next_event().unwrap() {
            Event::Stdout(bytes) | Event::Stderr(bytes) => heard += &String::from_utf8_lossy(&bytes),
            other => panic!("{other:?} after {heard:?}"),
        }
    }
    heard
}

pub(crate) fn open(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

pub(crate) fn log_file(path: &Path) -> OwnedFd {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).unwrap()
}

pub(crate) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL).unwrap();
    ended(&pidfd);
}

/// Waits until the process is gone, whoever's child it is.
pub(crate) fn ended(pidfd: &OwnedFd) {
    let mut poll = [rustix::event::PollFd::new(pidfd, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut poll, None).unwrap();
}

/// The parent of a process.
pub(crate) fn parent(pid: i32) -> i32 {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap(), "PPid:")
}

/// Private memory of a process in kB.
pub(crate) fn private_memory(pid: i32) -> i32 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    field(&rollup, "Private_Clean:") + field(&rollup, "Private_Dirty:")
}

fn field(text: &str, name: &str) -> i32 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
