use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use longshore_types::ContainerId;

use super::{Started, failure, log::now, null, record};
use crate::{
    cgroup,
    exec::{self, ExecPlan, Running},
    init::ProcessIo,
    plan::Plan,
    state::Identity,
    wire::{
        ExecStatus, Exit, FdRole, Refusal, Reply, RunExec,
        limits::{MAX_ENDED_EXECS, MAX_EXECS},
    },
};

/// What of the container an exec has to know: all that is kept of its plan.
#[derive(Debug)]
pub(super) struct Context {
    init: Identity,
    namespaces: u64,
    cgroup: cgroup::Record,
    keyring: Option<String>,
    id: ContainerId,
    bundle: PathBuf,
    annotations: std::collections::BTreeMap<String, String>,
    rootless: bool,
}

impl Context {
    pub(super) fn new(plan: Plan, init: Identity, cgroup: cgroup::Record) -> Self {
        Self {
            init,
            namespaces: plan.namespaces.all(),
            cgroup,
            keyring: plan.keyring,
            id: plan.id,
            bundle: plan.bundle,
            annotations: plan.annotations,
            rootless: plan.rootless,
        }
    }

    fn plan(&self, request: &mut RunExec) -> ExecPlan {
        ExecPlan {
            process: std::mem::take(&mut request.process),
            seccomp: request.seccomp.take(),
            init: self.init,
            namespaces: self.namespaces,
            cgroup: self.cgroup.clone(),
            keyring: self.keyring.clone(),
            id: self.id.clone(),
            bundle: self.bundle.clone(),
            annotations: self.annotations.clone(),
            preserve_fds: 0,
            rootless: self.rootless,
        }
    }
}

/// The exec processes of one container: those that run, and the last that ended.
#[derive(Debug, Default)]
pub(super) struct Execs {
    running: Vec<Exec>,
    ended: VecDeque<ExecStatus>,
}

#[derive(Debug)]
struct Exec {
    id: String,
    pid: i32,
    pidfd: OwnedFd,
    record: bool,
}

impl Execs {
    /// Starts a process. The reply says how that went; with success it carries the pidfd, and
    /// the master of a terminal.
    pub(super) fn start(
        &mut self,
        context: &Context,
        mut request: RunExec,
        fds: VecDeque<OwnedFd>,
    ) -> (Reply, Vec<OwnedFd>) {
        let refuse = |refusal| (Reply::Refused(refusal), Vec::new());
        if self.running.iter().any(|exec| exec.id == request.id) {
            return refuse(Refusal::ExecExists { id: request.id });
        }
        if self.running.len() >= MAX_EXECS {
            let limit = u32::try_from(MAX_EXECS).unwrap_or(u32::MAX);
            return refuse(Refusal::TooMany { what: "exec processes".into(), limit });
        }
        if let Err(error) = ContainerId::new(&*request.id) {
            return refuse(Refusal::Malformed { reason: format!("exec: {error}") });
        }
        let io = match streams(&request.fds, fds) {
            Ok(io) => io,
            Err(reason) => return refuse(Refusal::Malformed { reason }),
        };
        let plan = context.plan(&mut request);
        match exec::spawn(&plan, &io) {
            Ok(Running { pid, pidfd, console }) => {
                let mut fds = Vec::with_capacity(2);
                fds.extend(pidfd.try_clone().ok());
                fds.extend(console);
                self.ended.retain(|ended| ended.id != request.id);
                self.running.push(Exec { id: request.id, pid, pidfd, record: request.record });
                (Reply::Started(Started { pid, started_at: now() }), fds)
            }
            Err(error) => (failure(&error), Vec::new()),
        }
    }

    /// Takes note that the child `pid` has ended, if it is one of these.
    pub(super) fn ended(&mut self, pid: i32, exit: Exit, directory: impl AsFd) -> Option<ExecStatus> {
        let index = self.running.iter().position(|exec| exec.pid == pid)?;
        let exec = self.running.swap_remove(index);
        let status = ExecStatus { id: exec.id, pid, exit, exited_at: now() };
        if exec.record {
            // The requester hears of the exit all the same.
            record::write(directory.as_fd(), &record::exec_record(&status.id), &status).ok();
        }
        if self.ended.len() == MAX_ENDED_EXECS {
            self.ended.pop_front();
        }
        self.ended.push_back(status.clone());
        Some(status)
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &str> {
        self.running.iter().map(|exec| &*exec.id)
    }

    pub(super) fn pidfd(&self, id: &str) -> Option<&OwnedFd> {
        self.running.iter().find(|exec| exec.id == id).map(|exec| &exec.pidfd)
    }

    pub(super) fn status(&self, id: &str) -> Option<&ExecStatus> {
        self.ended.iter().find(|ended| ended.id == id)
    }
}

/// The streams among the donated descriptors; `/dev/null` for those that are not.
pub(super) fn streams(roles: &[FdRole], fds: VecDeque<OwnedFd>) -> Result<ProcessIo, String> {
    if roles.len() != fds.len() {
        return Err(format!("{} descriptors where {} are named", fds.len(), roles.len()));
    }
    let mut io = ProcessIo::default();
    for (role, fd) in roles.iter().zip(fds) {
        match role {
            FdRole::Stdin => io.stdin = Some(fd),
            FdRole::Stdout => io.stdout = Some(fd),
            FdRole::Stderr => io.stderr = Some(fd),
            role => return Err(format!("descriptor {role:?} is none of a process's streams")),
        }
    }
    for stream in [&mut io.stdin, &mut io.stdout, &mut io.stderr] {
        if stream.is_none() {
            *stream = Some(null().map_err(|error| format!("cannot open /dev/null: {error}"))?);
        }
    }
    Ok(io)
}
