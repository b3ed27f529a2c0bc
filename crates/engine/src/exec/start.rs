//! Starting an exec, and its end.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, PoisonError},
    time::Duration,
};

use longshore_runtime::{
    launch::{Control, Event},
    plan::{ProcessPlan, plan_process},
    seccomp::Filter,
    spec::{Capabilities, ConsoleSize},
    wire::FdRole,
};
use rustix::pipe::PipeFlags;
use tokio::net::unix::pipe;

use super::{Error, Exec, Execs, State, registry::check};
use crate::{
    attach::{Input, Output, Streams, Terminal},
    container::Base,
    monitor::Stream,
    spec::{merge_environment, user},
};

/// How long a process's children may hold its streams open after its end.
const DRAIN: Duration = Duration::from_secs(2);

/// How an exec is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Nobody is attached: its output goes nowhere.
    pub detached: bool,
    /// Instead of the one that it was made with.
    pub console_size: Option<ConsoleSize>,
}

/// An exec that runs, with what its client is connected to.
#[derive(Debug)]
pub struct Started {
    pub exec: Arc<Exec>,
    /// `None` when it is detached.
    pub streams: Option<Streams>,
}

/// The process's ends of its streams.
type Donated = Vec<(FdRole, OwnedFd)>;

/// Our ends of them.
#[derive(Debug, Default)]
struct Pipes {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// What the work that blocks brings.
struct Launched {
    pid: i32,
    control: Control,
    console: Option<OwnedFd>,
    pipes: Pipes,
}

impl Execs {
    /// Starts a process that was made, once.
    ///
    /// # Errors
    /// [`Error::Start`] when its program is not there or cannot be executed, with the exit code that is shown then.
    pub async fn start(&self, exec: &Arc<Exec>, how: How) -> Result<Started, Error> {
        check(&exec.container)?;
        self.claim(exec)?;
        let attributes = [("execID", exec.id.clone())];
        exec.container.publish(self.containers().events(), &exec.action("exec_start"), attributes);
        let started = self.start_claimed(exec, how).await;
        if let Err(error) = &started {
            let code = error.exit_code();
            exec.state.send_modify(|state| {
                *state = State { running: false, exit_code: Some(code), pid: state.pid }
            });
            self.rest(exec);
        }
        started
    }

    fn claim(&self, exec: &Exec) -> Result<(), Error> {
        let mut result = Ok(());
        exec.state.send_if_modified(|state| {
            let id = || exec.id.clone();
            if state.exit_code.is_some() {
                result = Err(Error::HasRun { id: id() });
            } else if state.running {
                result = Err(Error::Runs { id: id() });
            } else {
                state.running = true;
            }
            result.is_ok()
        });
        result
    }

    async fn start_claimed(&self, exec: &Arc<Exec>, how: How) -> Result<Started, Error> {
        let (execs, this) = (self.clone(), Arc::clone(exec));
        let launched = tokio::task::spawn_blocking(move || execs.launch(&this, how)).await;
        let launched = launched.map_err(|source| Error::Task { source })??;
        let failed = |operation| {
            let id = exec.id.clone();
            move |source| Error::Io { id, operation, source }
        };
        let control = |source| Error::Control { id: exec.id.clone(), source };
        let monitor = Stream::new(launched.control).map_err(control)?;
        exec.state.send_modify(|state| state.pid = launched.pid);
        let streams = match launched.console {
            Some(master) => {
                let kept = master.try_clone().map_err(failed("duplicate the terminal"))?;
                *exec.terminal.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
                terminal(master, exec.config.stdin).map_err(failed("watch the terminal"))?
            }
            None => launched.pipes.streams().map_err(failed("watch the streams"))?,
        };
        tokio::spawn(end(self.clone(), Arc::clone(exec), monitor));
        let streams = if how.detached {
            if exec.config.tty {
                tokio::spawn(drain(streams));
            }
            None
        } else {
            Some(streams)
        };
        Ok(Started { exec: Arc::clone(exec), streams })
    }

    /// Has the monitor start the process. Blocks.
    fn launch(&self, exec: &Exec, how: How) -> Result<Launched, Error> {
        let prepared = match exec.prepared.get() {
            Some(prepared) => Arc::clone(prepared),
            None => {
                let prepared = Arc::new(self.prepare(exec)?);
                Arc::clone(exec.prepared.get_or_init(|| prepared))
            }
        };
        let mut plan = prepared.plan.clone();
        plan.console_size = how.console_size.or(exec.config.console_size).filter(|_| exec.config.tty);
        let (donated, pipes) = pipes(exec, how.detached)?;
        let fds: Vec<_> = donated.iter().map(|(role, fd)| (*role, fd.as_fd())).collect();
        let mut control = exec.container.control()?;
        step("exec.start.launch", &exec.id)?;
        let started = control.exec(&exec.id, &plan, prepared.filter(), false, &fds);
        let started = started.map_err(|error| {
            Error::refused(exec.container.id().as_str(), &exec.id, &exec.config.command[0], error)
        })?;
        step("exec.start.launched", &exec.id)?;
        Ok(Launched { pid: started.pid, control, console: started.console, pipes })
    }

    /// Plans the process, as its container's own is. Blocks.
    fn prepare(&self, exec: &Exec) -> Result<Prepared, Error> {
        let Exec { config, container, .. } = exec;
        let Base { mut process, filter } = self.containers().exec_base(container)?;
        process.args.clone_from(&config.command);
        process.terminal = config.tty;
        if config.tty && !process.env.iter().any(|line| line.starts_with("TERM=")) {
            process.env.push("TERM=xterm".into());
        }
        merge_environment(&mut process.env, &config.env);
        if !config.working_dir.is_empty() {
            process.cwd.clone_from(&config.working_dir);
        }
        let record = container.record();
        let wanted = if config.user.is_empty() { &record.config.user } else { &config.user };
        let more = record.host.group_add.clone().unwrap_or_default();
        let root = self.containers().root(container)?;
        process.user = user::resolve(root.as_fd(), wanted, &more).map_err(Error::User)?;
        drop(root);
        if config.privileged {
            process.capabilities = Some(all_capabilities());
        }
        let plan = plan_process(&process, &mut Vec::new()).map_err(|source| Error::Plan { source })?;
        Ok(Prepared { plan, filter, privileged: config.privileged })
    }
}

/// What of an exec is the same however often it is started.
#[derive(Debug)]
pub struct Prepared {
    plan: ProcessPlan,
    filter: Arc<Option<Filter>>,
    privileged: bool,
}

impl Prepared {
    fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref().as_ref().filter(|_| !self.privileged)
    }
}

/// A place where tests stop the daemon.
fn step(name: &'static str, id: &str) -> Result<(), Error> {
    let failed = |source| Error::Io { id: id.into(), operation: "take a step", source };
    longshore_runtime::failpoint::step(name).map_err(failed)
}

fn all_capabilities() -> Capabilities {
    let all: Vec<String> =
        longshore_runtime::plan::CAPABILITIES.iter().map(|&name| name.to_owned()).collect();
    Capabilities { bounding: all.clone(), effective: all.clone(), permitted: all, ..Capabilities::default() }
}

fn pipes(exec: &Exec, detached: bool) -> Result<(Donated, Pipes), Error> {
    let (mut donated, mut ours) = (Vec::new(), Pipes::default());
    // A terminal is opened by the process itself; of a detached one the output goes nowhere, so that it outlives us.
    if exec.config.tty || detached {
        return Ok((donated, ours));
    }
    let pipe = || {
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|errno| Error::Io {
            id: exec.id.clone(),
            operation: "make a pipe",
            source: errno.into(),
        })
    };
    if exec.config.stdin {
        let (reader, writer) = pipe()?;
        donated.push((FdRole::Stdin, reader));
        ours.stdin = Some(writer);
    }
    if exec.config.stdout {
        let (reader, writer) = pipe()?;
        donated.push((FdRole::Stdout, writer));
        ours.stdout = Some(reader);
    }
    if exec.config.stderr {
        let (reader, writer) = pipe()?;
        donated.push((FdRole::Stderr, writer));
        ours.stderr = Some(reader);
    }
    Ok((donated, ours))
}

impl Pipes {
    fn streams(self) -> io::Result<Streams> {
        let receiver = |fd: Option<OwnedFd>| fd.map(pipe::Receiver::from_owned_fd).transpose();
        let sender = |fd: OwnedFd| {
            rustix::io::ioctl_fionbio(&fd, true)?;
            pipe::Sender::from_owned_fd(fd)
        };
        let output = Output::Pipes { stdout: receiver(self.stdout)?, stderr: receiver(self.stderr)? };
        Ok(Streams { output, input: self.stdin.map(sender).transpose()?.map(Input::Pipe) })
    }
}

fn terminal(master: OwnedFd, stdin: bool) -> io::Result<Streams> {
    let master = Terminal::new(master)?;
    let input = stdin.then(|| master.duplicate()).transpose()?.map(Input::Terminal);
    Ok(Streams { output: Output::Terminal(master), input })
}

/// Reads a terminal that nobody looks at, so that its process goes on.
async fn drain(mut streams: Streams) {
    while streams.output.next().await.is_some() {}
}

/// Waits for the process's end, and takes note of it.
async fn end(execs: Execs, exec: Arc<Exec>, mut monitor: Stream) {
    let code = loop {
        match monitor.next().await {
            Ok(Event::ExecExited(status)) if status.id == exec.id => break status.exit.code,
            Ok(_) => {}
            // The container is gone, and everything in it was killed.
            Err(_) => break 137,
        }
    };
    exec.terminal.lock().unwrap_or_else(PoisonError::into_inner).take();
    exec.state.send_modify(|state| *state = State { running: false, exit_code: Some(code), pid: state.pid });
    execs.rest(&exec);
    let attributes = [("execID", exec.id.clone()), ("exitCode", code.to_string())];
    exec.container.publish(execs.containers().events(), "exec_die", attributes);
}

/// The end of a process's streams, whoever else may hold them open.
#[derive(Debug)]
pub struct Ends(pub Arc<Exec>);

impl Ends {
    /// Waits until the process has ended, and its streams have had time to.
    pub async fn overdue(&self) {
        self.0.ended().await;
        tokio::time::sleep(DRAIN).await;
    }
}
