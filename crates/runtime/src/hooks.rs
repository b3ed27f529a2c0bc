//! Hooks: programs of the host, or of the container, that run at six points of a container's life.
//!
//! A hook gets the container's state as JSON on its stdin, exactly the environment that the spec
//! gives it, and no descriptor of ours but its three standard ones. What it prints only matters when
//! it fails; the first [`MAX_OUTPUT`] bytes are kept for the error. Its directory is ours. It is the leader of a process
//! group of its own, all of which is killed when its time is up. Nothing here needs more than one
//! thread or a `/dev`, so init can run hooks too, in the container.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, Write},
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use longshore_sys::process::close_on_exec_from;
use longshore_types::Kind as ErrorKind;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, OFlags},
    io::Errno,
    pipe::PipeFlags,
    process::{Pid, PidfdFlags, Signal},
};

use crate::spec::{Hook, Hooks};

/// How much of a failed hook's output its error shows, in bytes.
pub const MAX_OUTPUT: usize = 4096;

/// The points of a container's life at which hooks run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

impl Kind {
    /// All kinds, in their order.
    pub const ALL: [Self; 6] = [
        Self::Prestart,
        Self::CreateRuntime,
        Self::CreateContainer,
        Self::StartContainer,
        Self::Poststart,
        Self::Poststop,
    ];

    /// The name that the specification gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// The hooks of this kind.
    #[must_use]
    pub fn of(self, hooks: &Hooks) -> &[Hook] {
        match self {
            Self::Prestart => &hooks.prestart,
            Self::CreateRuntime => &hooks.create_runtime,
            Self::CreateContainer => &hooks.create_container,
            Self::StartContainer => &hooks.start_container,
            Self::Poststart => &hooks.poststart,
            Self::Poststop => &hooks.poststop,
        }
    }
}

/// A hook that failed.
#[derive(Debug, thiserror::Error)]
#[error("{} hook #{index} ({})", kind.name(), path.display())]
pub struct HookError {
    pub kind: Kind,
    /// From 0, as in the spec's array.
    pub index: usize,
    pub path: PathBuf,
    #[source]
    pub cause: Cause,
}

/// Why a hook failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error("path is not absolute")]
    RelativePath,
    #[error("timeout of {seconds} s is not above 0")]
    BadTimeout { seconds: i64 },
    #[error("cannot {action}")]
    Run { action: &'static str, source: io::Error },
    #[error("{status}{}", Printed(output))]
    Failed { status: ExitStatus, output: String },
    #[error("killed after {seconds} s{}", Printed(output))]
    TimedOut { seconds: i64, output: String },
}

impl HookError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.cause {
            Cause::RelativePath | Cause::BadTimeout { .. } => ErrorKind::InvalidInput,
            Cause::TimedOut { .. } => ErrorKind::Timeout,
            Cause::Run { .. } | Cause::Failed { .. } => ErrorKind::Internal,
        }
    }
}

/// What a hook printed, as the end of an error's line.
struct Printed<'a>(&'a str);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.trim() {
            "" => Ok(()),
            text => write!(f, ", printed {text:?}"),
        }
    }
}

/// Runs `hooks`, which are of one `kind`, in their order, and stops at the first that fails.
///
/// `state` is the container's state as JSON. Marks the descriptors of this process from 3 on
/// close-on-exec.
pub fn run(kind: Kind, hooks: &[Hook], state: &[u8]) -> Result<(), HookError> {
    hooks.iter().enumerate().try_for_each(|(index, hook)| run_one(kind, index, hook, state))
}

/// Runs all of `hooks` whatever fails, as the specification wants it for the two last kinds.
pub fn run_all(kind: Kind, hooks: &[Hook], state: &[u8]) -> Vec<HookError> {
    let run = |(index, hook)| run_one(kind, index, hook, state).err();
    hooks.iter().enumerate().filter_map(run).collect()
}

fn run_one(kind: Kind, index: usize, hook: &Hook, state: &[u8]) -> Result<(), HookError> {
    perform(hook, state).map_err(|cause| HookError { kind, index, path: hook.path.clone().into(), cause })
}

/// Names the `action` that an I/O error comes from.
fn doing<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Cause {
    move |source| Cause::Run { action, source: source.into() }
}

fn perform(hook: &Hook, state: &[u8]) -> Result<(), Cause> {
    if !Path::new(&hook.path).is_absolute() {
        return Err(Cause::RelativePath);
    }
    let deadline = match hook.timeout {
        None => None,
        Some(seconds) => {
            let allowed = u64::try_from(seconds).ok().filter(|&s| s > 0);
            let allowed = allowed.ok_or(Cause::BadTimeout { seconds })?;
            // A deadline beyond the clock's range is none.
            Instant::now().checked_add(Duration::from_secs(allowed))
        }
    };
    close_on_exec_from(3).map_err(doing("keep descriptors from the hook"))?;
    let (output, sink) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(doing("make a pipe"))?;
    let mut child = spawn(hook, state, sink)?;
    let ended = watch(&child, output, deadline);
    if !matches!(ended, Ok((_, Ended::ByItself))) {
        kill_group(&mut child);
    }
    let status = child.wait().map_err(doing("wait for it"))?;
    match ended? {
        (_, Ended::ByItself) if status.success() => Ok(()),
        (output, Ended::ByItself) => Err(Cause::Failed { status, output }),
        (output, Ended::OutOfTime) => {
            Err(Cause::TimedOut { seconds: hook.timeout.unwrap_or_default(), output })
        }
    }
}

fn spawn(hook: &Hook, state: &[u8], sink: OwnedFd) -> Result<Child, Cause> {
    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    let env = hook.env.iter().filter_map(|variable| variable.split_once('='));
    let second = sink.try_clone().map_err(doing("copy a descriptor"))?;
    command
        .env_clear()
        .envs(env)
        .process_group(0)
        .stdin(file_of(state).map_err(doing("write the state for it"))?)
        .stdout(sink)
        .stderr(second)
        .spawn()
        .map_err(doing("run it"))
}

/// A nameless file of `text`, at its start. A pipe would have to be fed, and fills up.
fn file_of(text: &[u8]) -> io::Result<Stdio> {
    let mut file = File::from(rustix::fs::memfd_create("state", MemfdFlags::CLOEXEC)?);
    file.write_all(text)?;
    file.rewind()?;
    Ok(file.into())
}

enum Ended {
    ByItself,
    OutOfTime,
}

/// Reads what `child` prints until it ends or its time is up. Whoever it leaves behind may keep
/// the pipe open for ever: only what is in there at its end counts.
fn watch(child: &Child, output: OwnedFd, deadline: Option<Instant>) -> Result<(String, Ended), Cause> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH);
    let process = pid
        .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()))
        .map_err(doing("watch it"))?;
    rustix::fs::fcntl_setfl(&output, OFlags::NONBLOCK).map_err(doing("read its output"))?;
    let mut output = File::from(output);
    let mut kept = Vec::new();
    let mut open = true;
    let ended = loop {
        let timeout = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => break Ended::OutOfTime,
            left => left.and_then(|left| Timespec::try_from(left).ok()),
        };
        let mut fds = [PollFd::new(&process, PollFlags::IN), PollFd::new(&output, PollFlags::IN)];
        match poll(if open { &mut fds } else { &mut fds[..1] }, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(doing("watch it")(errno)),
        }
        let ended = !fds[0].revents().is_empty();
        open = open && drain(&mut output, &mut kept).map_err(doing("read its output"))?;
        if ended {
            break Ended::ByItself;
        }
    };
    Ok((String::from_utf8_lossy(&kept).into_owned(), ended))
}

/// Reads all that is there and keeps the first [`MAX_OUTPUT`] bytes; `false` at the pipe's end.
fn drain(output: &mut File, kept: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    // Bounded, or a hook that prints without end would never see its time run out.
    for _ in 0..64 {
        match output.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => kept.extend_from_slice(&buffer[..read.min(MAX_OUTPUT - kept.len())]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Kills the hook and all of its group that has not left it.
fn kill_group(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // ESRCH is as good as done, and nothing else can be said about a process of our own.
    let _ = group.map(|group| rustix::process::kill_process_group(group, Signal::KILL));
    drop(child.kill());
}

#[cfg(test)]
mod tests;
