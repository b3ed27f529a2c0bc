//! Containers made by another's OCI runtime (`crun`, `runc`), under our monitor.
//!
//! The monitor writes `config.json` into the container's directory, shows the root at `rootfs` there, in a mount
//! namespace of its own, so that it goes with the monitor, and calls the runtime by its command line: `create`,
//! `start`, and `delete` at the end. The runtime's own state is below the same directory. The init becomes the
//! monitor's child, as the one that reaps orphans: from there on such a container is like any other. Signals, freezing
//! and more processes do not go through the runtime, so one whose containers are no processes of this host (a virtual
//! machine's) does not work so.
//!
//! Nobody's runtime is called on the way to a container of the built-in one.

use std::{
    ffi::{CString, OsStr},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use longshore_sys::{
    clone::{Cloned, clone3, flags},
    exec, namespace, pidfd, process,
};
use rustix::{
    fs::{AtFlags, Mode, OFlags},
    mount::{MountPropagationFlags, MoveMountFlags},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags,
        SocketType,
    },
    process::{WaitId, WaitIdOptions, waitid},
};
use serde::{Deserialize, Serialize};

use crate::{
    cgroup::Cgroup,
    container::{CreateError, Created, Waiting},
    init::ProcessIo,
    plan::Plan,
};

/// What programs that are called find others by.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const ROOT: &str = "rootfs";
const CONFIG: &str = "config.json";
const LOG: &str = "runtime.log";
const PID: &str = "init.pid";
const CONSOLE: &str = "console.sock";

/// Another's runtime, and what it is to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// Absolute.
    pub program: PathBuf,
    /// Before the runtime's own.
    pub args: Vec<String>,
    /// The container's directory, absolute.
    pub bundle: PathBuf,
    /// The text of `config.json`, whose root is [`External::root`].
    pub config: String,
}

/// What a runtime says that failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Said(String);

impl External {
    /// Where the root of the container in `bundle` is mounted.
    #[must_use]
    pub fn root(bundle: &Path) -> PathBuf {
        bundle.join(ROOT)
    }

    /// Makes the container up to its start. Nothing is left when it fails.
    pub(crate) fn create(
        &self,
        plan: &Plan,
        directory: BorrowedFd<'_>,
        root: Option<OwnedFd>,
        io: &ProcessIo,
    ) -> Result<Created, CreateError> {
        let prepared = self.show_root(root).and_then(|()| self.write_config());
        prepared.map_err(|error| failed("prepare", &error))?;
        let console = plan.process.terminal.then(|| listen(directory)).transpose();
        let console = console.map_err(|error| failed("prepare", &error))?;
        let (bundle, pid_file) = (text(&self.bundle), text(&self.bundle.join(PID)));
        let socket = format!("/proc/{}/fd/{}/{CONSOLE}", std::process::id(), directory.as_raw_fd());
        let mut words = vec!["create", "--bundle", &bundle, "--pid-file", &pid_file];
        if console.is_some() {
            words.extend(["--console-socket", &socket]);
        }
        words.push(plan.id.as_str());
        self.call("create", &words, Some(io))?;
        let made = self.take_over(plan, console.as_ref());
        made.map_err(|error| {
            self.delete(plan.id.as_str());
            failed("create", &error)
        })
    }

    fn take_over(&self, plan: &Plan, console: Option<&OwnedFd>) -> io::Result<Created> {
        let pid = std::fs::read_to_string(self.bundle.join(PID))?;
        let pid: i32 = pid.trim().parse().map_err(|_| io::Error::other("its PID file holds no number"))?;
        let cgroup = Cgroup::open(&plan.cgroup.record()).map_err(io::Error::other)?;
        let console = console.map(receive).transpose()?;
        let waiting = Waiting::External { runtime: self.clone(), id: plan.id.clone() };
        Ok(Created { pid, pidfd: pidfd::open(pid)?, console, cgroup, waiting })
    }

    /// Lets the program of a container run.
    pub(crate) fn start(&self, id: &str) -> Result<(), CreateError> {
        self.call("start", &["start", id], None)
    }

    /// Has the runtime forget a container. One that it does not know is fine.
    pub(crate) fn delete(&self, id: &str) {
        self.call("delete", &["delete", "--force", id], None).ok();
    }

    /// Mounts the root where the runtime looks for it, seen by this process and its children alone.
    fn show_root(&self, root: Option<OwnedFd>) -> io::Result<()> {
        let root = root.ok_or_else(|| io::Error::other("there is no root to show"))?;
        namespace::unshare(flags::NEWNS)?;
        let all = MountPropagationFlags::REC;
        rustix::mount::mount_change("/", MountPropagationFlags::DOWNSTREAM | all)?;
        // A group of peers of its own: what containers share stays among them.
        rustix::mount::mount_change("/", MountPropagationFlags::SHARED | all)?;
        let place = Self::root(&self.bundle);
        std::fs::create_dir_all(&place)?;
        let opening = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = rustix::fs::open(place, opening, Mode::empty())?;
        let onto = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        Ok(rustix::mount::move_mount(&root, "", &place, "", onto)?)
    }

    fn write_config(&self) -> io::Result<()> {
        std::fs::write(self.bundle.join(CONFIG), &self.config)
    }

    /// Calls the runtime and waits for its end. What it is to execute has `io`.
    fn call(&self, verb: &'static str, words: &[&str], io: Option<&ProcessIo>) -> Result<(), CreateError> {
        let log = self.bundle.join(LOG);
        std::fs::remove_file(&log).ok();
        let state = self.bundle.join("runtime");
        let mut args = vec![self.program.as_os_str().to_owned()];
        args.extend(self.args.iter().map(Into::into));
        args.extend(["--root".into(), state.into(), "--log".into(), log.clone().into()]);
        args.extend(["--log-format", "json"].map(Into::into));
        args.extend(words.iter().map(Into::into));
        let args: Result<Vec<CString>, _> = args.iter().map(|word| CString::new(word.as_bytes())).collect();
        let args = args.map_err(|error| failed(verb, &error.into()))?;
        let code = run(&self.program, &args, io).map_err(|error| failed(verb, &error))?;
        if code == 0 {
            return Ok(());
        }
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let reason = last_word(&said).unwrap_or_else(|| {
            format!("{} {verb} ended with code {code} and no word in its log", self.program.display())
        });
        Err(CreateError::External { verb, source: Said(reason) })
    }
}

fn failed(verb: &'static str, error: &io::Error) -> CreateError {
    CreateError::External { verb, source: Said(error.to_string()) }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The last message of a log in JSON that is an error.
fn last_word(log: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(default)]
        level: String,
        msg: String,
    }
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let mut errors = lines.filter(|line| matches!(line.level.as_str(), "" | "error" | "fatal"));
    errors.next_back().map(|line| line.msg)
}

/// Executes a program and waits for its end; returns its code.
fn run(program: &Path, args: &[CString], io: Option<&ProcessIo>) -> io::Result<i32> {
    let path = CString::new(program.as_os_str().as_bytes())?;
    let env = [CString::new(PATH)?];
    match clone3(0, None)? {
        Cloned::Child => {
            let error = become_program(&path, args, &env, io);
            process::exit_now(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
        }
        Cloned::Parent { pidfd, .. } => {
            let waited =
                rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED))?;
            let status = waited.ok_or_else(|| io::Error::other("it did not end"))?;
            let code =
                status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
            Ok(code.unwrap_or(255))
        }
    }
}

fn become_program(path: &CString, args: &[CString], env: &[CString], io: Option<&ProcessIo>) -> io::Error {
    let ready = || -> io::Result<()> {
        process::reset_signals()?;
        let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        let given = io.map(|io| [&io.stdin, &io.stdout, &io.stderr]).unwrap_or([&None, &None, &None]);
        for (number, fd) in (0..).zip(given) {
            process::replace_stdio(fd.as_ref().map_or(null.as_fd(), AsFd::as_fd), number)?;
        }
        process::close_on_exec_from(3)
    };
    match ready() {
        Ok(()) => exec::execve(path, args, env),
        Err(error) => error,
    }
}

/// Listens for the terminal of the container, which its runtime sends.
fn listen(directory: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::unlinkat(directory, CONSOLE, AtFlags::empty()).ok();
    // By the descriptor: the directory's own path may be too long for an address.
    let path = format!("/proc/self/fd/{}/{CONSOLE}", directory.as_raw_fd());
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, 1)?;
    Ok(socket)
}

/// Takes the terminal that has been sent by now.
fn receive(socket: &OwnedFd) -> io::Result<OwnedFd> {
    let connection = rustix::net::accept_with(socket, SocketFlags::CLOEXEC)?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 4096];
    let mut parts = [io::IoSliceMut::new(&mut name)];
    rustix::net::recvmsg(&connection, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let received = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    received.ok_or_else(|| io::Error::other("it sent no terminal"))
}

/// Finds a program as a shell does: by its path, or by its name in the directories of [`PATH`].
#[must_use]
pub fn find(program: &Path) -> Option<PathBuf> {
    if program.is_absolute() {
        return program.exists().then(|| program.to_owned());
    }
    let directories = PATH.trim_start_matches("PATH=").split(':');
    directories.map(|directory| Path::new(OsStr::new(directory)).join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::last_word;

    #[test]
    fn the_last_error_of_a_log_is_the_reason() {
        let log = "{\"level\":\"error\",\"msg\":\"first\"}\n{\"level\":\"error\",\"msg\":\"exec: no\"}\nnonsense\n\
                   {\"level\":\"warning\",\"msg\":\"careful\"}\n";
        assert_eq!(last_word(log).as_deref(), Some("exec: no"));
        assert_eq!(
            last_word("{\"msg\":\"crun's\",\"level\":\"error\",\"time\":\"x\"}").as_deref(),
            Some("crun's")
        );
        assert_eq!(last_word(""), None);
    }
}
