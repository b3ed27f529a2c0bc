//! One call of a program: arguments, descriptors, limit, result.

use crate::wait;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Keeps the tests of one process (`cargo test` runs them as threads) from starting a program while
/// another thread has a program file open for writing: the new process would hold that descriptor until
/// its exec, and whoever executes the file meanwhile gets `ETXTBSY`.
static PROGRAMS: RwLock<()> = RwLock::new(());

/// Makes program files by `write`, while no process is started.
pub fn write_programs<T>(write: impl FnOnce() -> T) -> T {
    let _guard = PROGRAMS.read().unwrap_or_else(PoisonError::into_inner);
    write()
}

/// A program call under construction. Output goes to files, not pipes: a container that inherits
/// them must not keep the caller waiting.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    limit: Duration,
    stdout: PathBuf,
    stderr: PathBuf,
    keep_stdout: bool,
}

/// What a call left.
#[derive(Clone)]
pub struct Output {
    /// Exit code; 128 and the signal when one ended it.
    pub code: i32,
    /// What it wrote to standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// The same for standard error.
    pub stderr: String,
}

impl Invocation {
    pub(crate) fn new(command: Command, stdout: PathBuf, stderr: PathBuf) -> Invocation {
        let mut invocation =
            Invocation { command, limit: wait::patience(), stdout, stderr, keep_stdout: true };
        invocation.command.stdin(Stdio::null());
        invocation
    }

    /// Appends an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Invocation {
        self.command.arg(arg);
        self
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Invocation {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Invocation {
        self.command.env(name, value);
        self
    }

    /// Replaces standard input, which is `/dev/null`.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Invocation {
        self.command.stdin(stdin);
        self
    }

    /// Replaces standard output; the result's `stdout` is empty then.
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Invocation {
        self.command.stdout(stdout);
        self.keep_stdout = false;
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<std::path::Path>) -> Invocation {
        self.command.current_dir(dir);
        self
    }

    /// Starts the program and leaves it running.
    ///
    /// # Panics
    /// If it cannot be executed.
    pub fn spawn(mut self) -> Child {
        self.start()
    }

    fn start(&mut self) -> Child {
        if self.keep_stdout {
            self.command.stdout(File::create(&self.stdout).expect("output file"));
        }
        self.command.stderr(File::create(&self.stderr).expect("output file"));
        let program = self.command.get_program().to_owned();
        let guard = PROGRAMS.write().unwrap_or_else(PoisonError::into_inner);
        let started = self.command.spawn();
        drop(guard);
        started.unwrap_or_else(|error| panic!("execute {}: {error}", program.display()))
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// If it cannot be executed, or does not end in time; it is killed then.
    pub fn output(mut self) -> Output {
        let mut child = self.start();
        let handle = wait::handle(i32::try_from(child.id()).expect("a pid")).expect("a child of ours");
        if !wait::wait_for_exit(&handle, self.limit) {
            child.kill().expect("kill a child of ours");
            child.wait().expect("a child of ours");
            panic!("{:?} did not end in {:?}; stderr: {}", self.command, self.limit, read(&self.stderr));
        }
        let status = child.wait().expect("a child of ours");
        Output {
            code: status.code().or_else(|| Some(128 + status.signal()?)).expect("an ended process"),
            stdout: if self.keep_stdout { read(&self.stdout) } else { String::new() },
            stderr: read(&self.stderr),
        }
    }
}

fn read(path: &PathBuf) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The start of a text: a report is many pages.
fn short(text: &str) -> String {
    match text.char_indices().nth(1000) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (short(&self.stdout), short(&self.stderr));
        f.debug_struct("Output")
            .field("code", &self.code)
            .field("stdout", &stdout)
            .field("stderr", &stderr)
            .finish()
    }
}

/// What the last failed call of this process was like; see [`Output::story`].
static FAILED: Mutex<String> = Mutex::new(String::new());

/// The story of the call that failed this test, if one did.
pub(crate) fn failed() -> String {
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl Output {
    /// What a failed test shows of a call, the most telling last: logs are cut. The bed repeats it, after
    /// the backtrace.
    fn story(&self) -> String {
        let (stdout, stderr) = (short(&self.stdout), short(&self.stderr));
        let (stdout, stderr, code) = (stdout.trim_end(), stderr.trim_end(), self.code);
        let story = format!("\nstdout: {stdout}\nstderr: {stderr}\ncode: {code}");
        FAILED.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&story);
        story
    }

    /// Returns itself if the call succeeded.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn ok(self) -> Output {
        assert!(self.code == 0, "had to succeed: {}", self.story());
        self
    }

    /// Returns standard error of a call that had to fail.
    ///
    /// # Panics
    /// If it succeeded.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(self.code != 0, "had to fail: {}", self.story());
        self.stderr
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// If it is something else.
    #[track_caller]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.story()))
    }

    /// The probe's report on standard output of a call that succeeded.
    ///
    /// # Panics
    /// If it is something else.
    #[track_caller]
    pub fn report(&self) -> crate::report::Report {
        self.clone().ok().json()
    }
}
