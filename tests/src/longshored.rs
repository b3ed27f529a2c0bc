//! A `longshored` with everything of its own (data, state, socket), and HTTP with it.
//!
//! The program is `LONGSHORE_TEST_DAEMON`, else the `longshored` that was built into the same profile directory as the
//! test. Dropping the fixture kills the daemon, its containers and its spawner, and takes its mounts away; the daemon
//! goes too when the test dies in any other way.

mod http;

use crate::mountinfo;
use longshore_runtime::{
    launch::{self, Connection, Launcher},
    wire::Target,
};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub use http::{Answer, Exchange};

/// Says the daemon's PID, ends it as soon as standard input closes, and tells how it ended.
const SCRIPT: &str = r#"
"$@" </dev/null &
pid=$!
echo $pid
( read -r _; kill -9 $pid ) <&3 >/dev/null 2>&1 &
guard=$!
wait $pid
code=$?
kill $guard 2>/dev/null
exit $code
"#;

/// A daemon that runs, or has been stopped. Dropping it leaves nothing.
#[derive(Debug)]
pub struct Longshored {
    dir: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
    running: Option<Running>,
    log: Arc<Mutex<String>>,
}

#[derive(Debug)]
struct Running {
    shell: Child,
    pid: i32,
    handle: OwnedFd,
}

impl Longshored {
    /// One in a temporary directory, ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One with more flags.
    ///
    /// # Panics
    /// If it does not get ready, with its log.
    pub fn start_with(args: &[&str]) -> Self {
        let mut daemon = Self::prepare(args);
        daemon.start_again();
        daemon
    }

    /// One that has not been started: its directory can be filled before [`Self::start_again`].
    pub fn prepare(args: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("ls-").tempdir().expect("a temporary directory");
        let args = args.iter().map(ToString::to_string).collect();
        fs::write(dir.path().join("daemon.json"), "{}").expect("its settings");
        Self { dir, args, env: Vec::new(), running: None, log: Arc::default() }
    }

    /// Sets a variable of its environment, from its next start on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.push((name.into(), value.into()));
    }

    /// Starts it on the same directories, and waits until it answers.
    ///
    /// # Panics
    /// If it runs already, or does not get ready.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the daemon runs");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 3<&0; {SCRIPT}"), "sh"]).arg(program()).args(self.roots());
        command.args(["-H", &format!("unix://{}", self.socket().display())]).args(&self.args);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = command.spawn().expect("a shell");
        keep(shell.stderr.take().expect("it is a pipe"), Arc::clone(&self.log));
        let mut line = String::new();
        let stdout = shell.stdout.take().expect("it is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the PID");
        let pid = line.trim().parse().expect("a PID");
        let handle = handle(pid).expect("the daemon's process");
        self.running = Some(Running { shell, pid, handle });
        self.wait_until_ready();
    }

    /// The flags that name its directories.
    pub fn roots(&self) -> Vec<String> {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        vec![
            "--data-root".into(),
            at("data"),
            "--exec-root".into(),
            at("exec"),
            "--pidfile".into(),
            at("pid"),
            "--config-file".into(),
            at("daemon.json"),
        ]
    }

    fn wait_until_ready(&mut self) {
        let end = Instant::now() + crate::patience();
        loop {
            if let Ok(answer) = Exchange::new("GET", "/_ping").send(&self.socket())
                && answer.status == 200
            {
                return;
            }
            let ended = self.running.as_mut().and_then(|running| running.shell.try_wait().expect("a child"));
            assert!(ended.is_none(), "the daemon ended with {ended:?}:\n{}", self.log());
            assert!(Instant::now() < end, "the daemon is not ready:\n{}", self.log());
            // The kernel tells nobody that a socket listens.
            let pause = rustix::event::Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
            rustix::event::poll(&mut [], Some(&pause)).expect("a pause");
        }
    }

    /// The directory with `data`, `exec`, `sock`, `pid` and `daemon.json`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    /// The daemon's process.
    ///
    /// # Panics
    /// If it does not run.
    pub fn pid(&self) -> i32 {
        self.running.as_ref().expect("the daemon runs").pid
    }

    /// Whether the process is alive.
    pub fn is_alive(&self) -> bool {
        self.running.as_ref().is_some_and(|running| {
            !crate::wait::readable(std::os::fd::AsFd::as_fd(&running.handle), Duration::ZERO)
        })
    }

    /// What it has written to its log, from its first start on.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let running = self.running.as_ref().expect("the daemon runs");
        rustix::process::pidfd_send_signal(&running.handle, signal).expect("a signal");
    }

    /// Ends it with SIGTERM; returns the code of its exit. Containers go on.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.wait_for_end()
    }

    /// Ends it with SIGKILL. Containers go on.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait_for_end();
    }

    /// Waits for its end; returns the code of its exit, or 128 and the signal.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn wait_for_end(&mut self) -> i32 {
        let mut running = self.running.take().expect("the daemon runs");
        let in_time = crate::wait_for_exit(&running.handle, crate::patience());
        drop(running.shell.stdin.take());
        assert!(in_time, "the daemon does not end:\n{}", self.log());
        running.shell.wait().expect("a child").code().unwrap_or(-1)
    }

    /// `docker ARGS…` with this daemon.
    pub fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        // No configuration of whoever runs the tests.
        command.env("DOCKER_CONFIG", self.dir.path().join("config")).env_remove("DOCKER_CONTEXT");
        command.arg("--host").arg(format!("unix://{}", self.socket().display())).args(args);
        command
    }

    /// A request to send, with `path` as it stands: `/v1.44/containers/json`.
    pub fn request(&self, method: &str, path: &str) -> Answer {
        self.send(&Exchange::new(method, path))
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path)
    }

    /// `DELETE path`.
    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path)
    }

    /// `POST path` with a document; `Value::Null` is no body.
    pub fn post(&self, path: &str, document: &serde_json::Value) -> Answer {
        self.send(&Exchange::new("POST", path).json(document))
    }

    /// Sends a request on a connection of its own.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn send(&self, exchange: &Exchange) -> Answer {
        let answer = exchange.send(&self.socket());
        answer.unwrap_or_else(|error| panic!("{exchange:?}: {error}\n{}", self.log()))
    }

    /// A connection, for what is no ordinary request.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).expect("the daemon's socket");
        stream.set_read_timeout(Some(crate::patience())).expect("a limit");
        stream
    }
}

impl Drop for Longshored {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            rustix::process::pidfd_send_signal(&running.handle, Signal::KILL).ok();
            running.shell.wait().ok();
        }
        if std::thread::panicking() {
            writeln!(std::io::stderr(), "the daemon's log:\n{}", self.log()).ok();
        }
        let exec = self.dir.path().join("exec");
        for entry in fs::read_dir(exec.join("containers")).into_iter().flatten().flatten() {
            end_container(&entry.path());
        }
        end_spawner(&exec.join("spawner"));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for mount in mountinfo::parse(&mounts).iter().rev() {
            if Path::new(&mount.point).starts_with(self.dir.path()) {
                rustix::mount::unmount(mount.point.as_str(), rustix::mount::UnmountFlags::DETACH).ok();
            }
        }
    }
}

/// Kills the container whose monitor listens in `directory`, and waits for its end.
fn end_container(directory: &Path) {
    let Ok(directory) = fs::File::open(directory) else { return };
    let Ok(Connection::Running(mut control)) = launch::connect(std::os::fd::AsFd::as_fd(&directory)) else {
        return;
    };
    if control.signal(Target::Init, 9).is_ok() {
        control.wait().ok();
    }
}

/// Kills the spawner that listens in `directory`. It is asked who it is: the socket was made by the daemon, and the
/// kernel names that as its other end.
fn end_spawner(directory: &Path) {
    if !directory.join("spawner.sock").exists() {
        return;
    }
    // With no program to start, one that is gone stays so.
    let spawner = Launcher::connect_or_start(directory, Path::new("/nonexistent"));
    if let Some(handle) = spawner.ok().and_then(|spawner| handle(spawner.ping().ok()?.cast_signed())) {
        rustix::process::pidfd_send_signal(&handle, Signal::KILL).ok();
        crate::wait_for_exit(&handle, crate::patience());
    }
}

fn handle(pid: i32) -> Option<OwnedFd> {
    rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

/// Collects the daemon's log, which ends when the last one who holds it does.
fn keep(stderr: ChildStderr, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&line);
            log.push('\n');
        }
    });
}

/// The program under test.
pub fn program() -> PathBuf {
    let chosen = std::env::var_os("LONGSHORE_TEST_DAEMON").map(PathBuf::from);
    let program = chosen.unwrap_or_else(|| crate::bed::profile_dir().join("longshored"));
    crate::require!(
        program.is_file(),
        "{} is not there: build it, or name another one in LONGSHORE_TEST_DAEMON",
        program.display()
    );
    program.canonicalize().expect("a file")
}
