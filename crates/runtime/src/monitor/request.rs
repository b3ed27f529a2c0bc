use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
};

use longshore_sys::pidfd;
use rustix::{io::Errno, termios::Winsize};

use super::{SIGKILL, exit::Phase, failure, log::now, malformed, running::Monitor};
use crate::{
    cgroup::CgroupError,
    spec::ConsoleSize,
    wire::{
        self, DropReason, Kind, Received, Refusal, Reply, Request, RunExec, Started, Status, Target, VERSION,
        limits::MAX_WAITS,
    },
};

impl Monitor {
    /// Acts on one message of the client at `index`.
    pub(super) fn message(&mut self, index: usize, received: Received) {
        let Received { kind, sequence, payload, fds } = received;
        match kind {
            Kind::Input => {
                self.parts.input.push(&payload, &self.parts.poll);
                self.clients[index].blocked = self.parts.input.is_full();
            }
            Kind::Ping => {
                let pid = rustix::process::getpid().as_raw_nonzero().get().cast_unsigned();
                self.answer(index, sequence, &Reply::Pong { pid, version: VERSION });
            }
            Kind::Request => match wire::decode(&payload) {
                Ok(request) => {
                    drop(payload);
                    self.request(index, sequence, request, fds);
                }
                Err(error) => {
                    self.answer(index, sequence, &malformed(&error));
                    self.clients[index].dismiss(DropReason::Malformed);
                }
            },
            Kind::Launch | Kind::Reply | Kind::Stdout | Kind::Stderr => {
                let reason = format!("a monitor takes no {kind:?}");
                self.answer(index, sequence, &Reply::Refused(Refusal::Malformed { reason }));
                self.clients[index].dismiss(DropReason::Malformed);
            }
        }
    }

    fn answer(&mut self, index: usize, sequence: u32, reply: &Reply) {
        self.clients[index].reply(sequence, reply, Vec::new());
    }

    fn request(&mut self, index: usize, sequence: u32, request: Request, fds: VecDeque<OwnedFd>) {
        let result = match request {
            Request::Exec(exec) => return self.exec(index, sequence, *exec, fds),
            Request::Wait(target) => return self.wait(index, sequence, target),
            Request::Attach(attach) => {
                let client = &mut self.clients[index];
                client.attach(attach);
                if !client.waits.contains(&(Target::Init, 0)) {
                    client.waits.push((Target::Init, 0));
                }
                Ok(Reply::Done)
            }
            Request::CloseInput => {
                self.parts.input.end(&self.parts.poll);
                Ok(Reply::Done)
            }
            Request::Resize(size) => self.resize(size),
            Request::Signal { target, signal } => self.signal(&target, signal),
            Request::Status => Ok(Reply::Status(Box::new(self.status()))),
            Request::Start => self.start(),
            Request::Pause => self.pause(),
            Request::Resume => self.resume(),
        };
        self.answer(index, sequence, &result.unwrap_or_else(Reply::Refused));
    }

    fn exec(&mut self, index: usize, sequence: u32, exec: RunExec, fds: VecDeque<OwnedFd>) {
        if let Err(refusal) = self.runs() {
            return self.answer(index, sequence, &Reply::Refused(refusal));
        }
        let id = exec.id.clone();
        let (reply, fds) = self.execs.start(&self.parts.context, exec, fds);
        let client = &mut self.clients[index];
        if matches!(reply, Reply::Started(_)) {
            client.waits.push((Target::Exec(id), sequence));
        }
        client.reply(sequence, &reply, fds);
    }

    /// Whether processes of the container run, for what needs that.
    fn runs(&self) -> Result<(), Refusal> {
        match &self.phase {
            Phase::Created(_) => Err(Refusal::NotStarted),
            Phase::Running if self.parts.container.paused => Err(Refusal::Paused),
            Phase::Running => Ok(()),
            Phase::Draining { .. } | Phase::Leaving { .. } => Err(Refusal::Ended),
        }
    }

    /// Lets the program of a container that waits for this run. Nobody else is served meanwhile: it is
    /// one exec, and the `startContainer` and `poststart` hooks.
    fn start(&mut self) -> Result<Reply, Refusal> {
        let held = match std::mem::replace(&mut self.phase, Phase::Running) {
            Phase::Created(held) => held,
            phase => {
                self.phase = phase;
                let ended = self.runs().err().filter(|why| *why == Refusal::Ended);
                return Err(ended.unwrap_or(Refusal::StartedAlready));
            }
        };
        Ok(match held.start() {
            Ok(()) => {
                let container = &mut self.parts.container;
                container.started_at = now();
                Reply::Started(Started { pid: container.pid, started_at: container.started_at })
            }
            Err(error) => failure(&error),
        })
    }

    fn pause(&mut self) -> Result<Reply, Refusal> {
        self.runs()?;
        if self.parts.container.killed {
            return Err(Refusal::Ended);
        }
        self.parts.container.pause().map_err(|error| frozen("pause", &error))?;
        Ok(Reply::Done)
    }

    fn resume(&mut self) -> Result<Reply, Refusal> {
        match self.runs() {
            Err(Refusal::Paused) => {}
            other => return Err(other.err().unwrap_or(Refusal::NotPaused)),
        }
        self.parts.container.resume().map_err(|error| frozen("resume", &error))?;
        Ok(Reply::Done)
    }

    fn wait(&mut self, index: usize, sequence: u32, target: Target) {
        let client = &mut self.clients[index];
        let reply = match &target {
            Target::Init => self.phase.announced().map(|record| Reply::Exited(record.clone())),
            Target::Exec(id) => match (self.execs.pidfd(id), self.execs.status(id)) {
                (Some(_), _) => None,
                (None, Some(status)) => Some(Reply::ExecExited(status.clone())),
                (None, None) => Some(Reply::Refused(Refusal::NoSuchExec { id: id.clone() })),
            },
            Target::All => Some(Reply::Refused(Refusal::Malformed { reason: "wait for all".into() })),
        };
        match reply {
            Some(reply) => client.reply(sequence, &reply, Vec::new()),
            None if client.waits.len() < MAX_WAITS => client.waits.push((target, sequence)),
            None => {
                let limit = u32::try_from(MAX_WAITS).unwrap_or(u32::MAX);
                let refusal = Refusal::TooMany { what: "waits".into(), limit };
                client.reply(sequence, &Reply::Refused(refusal), Vec::new());
            }
        }
    }

    fn resize(&self, size: ConsoleSize) -> Result<Reply, Refusal> {
        let Some((master, _)) = &self.parts.terminal else {
            return Err(Refusal::Without { what: "terminal".into() });
        };
        let size = Winsize { ws_row: size.height, ws_col: size.width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(master, size).map_err(|errno| failed("resize", errno))?;
        Ok(Reply::Done)
    }

    fn signal(&mut self, target: &Target, signal: i32) -> Result<Reply, Refusal> {
        let done = self.send(target, signal)?;
        if signal == SIGKILL && !matches!(target, Target::Exec(_)) {
            self.parts.container.killed = true;
            // A frozen process dies of nothing in version 1.
            self.parts.container.resume().map_err(|error| frozen("resume", &error))?;
        }
        Ok(done)
    }

    fn send(&self, target: &Target, signal: i32) -> Result<Reply, Refusal> {
        let pidfd = match target {
            Target::All => {
                return match self.parts.container.signal_all(signal) {
                    Ok(()) => Ok(Reply::Done),
                    Err(errno) => Err(failed("signal", errno)),
                };
            }
            Target::Init if self.phase.has_init() => &self.parts.container.pidfd,
            Target::Init => return Err(Refusal::Ended),
            Target::Exec(id) => self.execs.pidfd(id).ok_or_else(|| Refusal::NoSuchExec { id: id.clone() })?,
        };
        pidfd::send_signal(pidfd.as_fd(), signal)
            .map_err(|error| failed("signal", Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        Ok(Reply::Done)
    }

    fn status(&self) -> Status {
        Status {
            pid: self.parts.container.pid,
            phase: match &self.phase {
                Phase::Created(_) => wire::Phase::Created,
                Phase::Running if self.parts.container.paused => wire::Phase::Paused,
                Phase::Running => wire::Phase::Running,
                Phase::Draining { .. } | Phase::Leaving { .. } => wire::Phase::Ended,
            },
            started_at: self.parts.container.started_at,
            exit: self.phase.record().cloned(),
            log: self.parts.outputs.log.status(),
            clients: u32::try_from(self.clients.len()).unwrap_or(u32::MAX),
            execs: self.execs.running().map(Into::into).collect(),
        }
    }
}

/// Why the freezer did not do as it was told.
fn frozen(operation: &str, error: &CgroupError) -> Refusal {
    let sources = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let errno = sources.into_iter().find_map(|error| Errno::from_io_error(error.downcast_ref()?));
    failed(operation, errno.unwrap_or(Errno::TIMEDOUT))
}

fn failed(operation: &str, errno: Errno) -> Refusal {
    Refusal::Failed { operation: operation.into(), errno: errno.raw_os_error() }
}
