//! One more process in a running container.
//!
//! The process is a child of the caller, born inside the container's PID namespace; it joins the other
//! namespaces through the init's pidfd, all at once, and the init's cgroup. It cannot be traced from
//! inside before its exec (CVE-2016-9962), and its capabilities are those of the plan within the
//! container's own bounds.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use longshore_sys::{
    clone::{Cloned, clone3, flags},
    namespace, process, sched,
};
use longshore_types::ContainerId;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{
    cgroup::{self, Cgroup},
    container::{self, CreateError, stage},
    failpoint,
    init::{self, At, Channel, FromInit, Last, ProcessIo, Step, StepError},
    plan::ProcessPlan,
    rootfs,
    seccomp::Filter,
    state::{Identity, Status},
};

/// A process to add to a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecPlan {
    pub process: ProcessPlan,
    pub seccomp: Option<Filter>,
    /// The container's init.
    pub init: Identity,
    /// Clone flags of the namespaces that the container does not share with the caller.
    pub namespaces: u64,
    pub cgroup: cgroup::Record,
    pub keyring: Option<String>,
    /// What a seccomp agent is told of the container.
    pub id: ContainerId,
    pub bundle: PathBuf,
    pub annotations: BTreeMap<String, String>,
    pub preserve_fds: u32,
    pub rootless: bool,
}

/// A process that runs in a container.
#[derive(Debug)]
pub struct Running {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// The master side of its terminal, where it has one.
    pub console: Option<OwnedFd>,
}

struct Entry<'a> {
    plan: &'a ExecPlan,
    channel: Channel,
    io: &'a ProcessIo,
    target: OwnedFd,
    cgroup: cgroup::Joiner,
    join_late: bool,
    /// The namespaces that the process joins itself.
    join: u64,
}

/// Starts the process and waits for its exec.
///
/// # Errors
/// The step that failed, or what the exec answered; nothing is left running then.
pub fn spawn(plan: &ExecPlan, io: &ProcessIo) -> Result<Running, CreateError> {
    failpoint::step("exec.open").at(Step::Namespace)?;
    let target = plan.init.open().at(Step::Namespace)?;
    let target = target.ok_or(Errno::SRCH).on(Step::Namespace, "of the container's init, which ended")?;
    let cgroup = Cgroup::open(&plan.cgroup)?;
    match spawn_in(plan, io, &target, cgroup.joiner()?, true) {
        Err(CreateError::KilledAtBirth) => spawn_in(plan, io, &target, cgroup.joiner()?, false),
        // The container manages cgroups below its own, which so has no processes.
        Err(CreateError::Step(error))
            if error.step == Step::Clone && Errno::from_io_error(&error.source) == Some(Errno::BUSY) =>
        {
            spawn_in(plan, io, &target, cgroup.joiner_beside(plan.init.pid)?, true)
        }
        spawned => spawned,
    }
}

fn spawn_in(
    plan: &ExecPlan,
    io: &ProcessIo,
    target: &OwnedFd,
    joiner: cgroup::Joiner,
    born_inside: bool,
) -> Result<Running, CreateError> {
    let target = target.try_clone().at(Step::Namespace)?;
    let into = joiner.into.as_ref().filter(|_| born_inside).map(OwnedFd::try_clone);
    let into = into.transpose().at(Step::Cgroup)?;
    let into = into.as_ref().map(AsFd::as_fd);
    let (channel, child_channel) = Channel::pair().at(Step::Channel)?;
    // Whatever can be seen of the child from inside the container cannot be traced: it inherits this.
    process::set_dumpable(false).at(Step::Clone)?;
    let by_stage = plan.rootless && plan.namespaces & flags::NEWUSER != 0;
    let entry = Entry {
        plan,
        channel: child_channel,
        io,
        target,
        cgroup: joiner,
        join_late: !born_inside,
        join: plan.namespaces & !flags::NEWPID,
    };
    failpoint::step("exec.clone").at(Step::Clone)?;
    let (pid, pidfd, channel) = if by_stage {
        let entry = Entry { join: 0, ..entry };
        let enter = |entry: &Entry<'_>| {
            namespace::join(entry.target.as_fd(), plan.namespaces).at(Step::Namespace)?;
            clone3(flags::PARENT, into).at(Step::Clone)
        };
        stage::through(entry, channel, enter, |entry| &entry.channel, |entry| run(&entry))?
    } else {
        clone_into(entry, channel, into)?
    };
    let guard = container::KillGuard::new(pidfd);
    if let Some(score) = plan.process.oom_score_adj {
        container::set_oom_score(pid, score, plan.rootless)?;
    }
    let owner = container::Owner {
        id: &plan.id,
        status: Status::Running,
        init: Some(plan.init.pid),
        bundle: &plan.bundle,
        annotations: &plan.annotations,
    };
    let ready = container::see_to_exec(plan.seccomp.as_ref(), &owner, pid, guard.pidfd(), &channel);
    let console = match ready {
        Err(CreateError::Vanished) if into.is_some() && container::was_killed(guard.pidfd(), None) => {
            return Err(CreateError::KilledAtBirth);
        }
        console => console?,
    };
    Ok(Running { pid, pidfd: guard.release().at(Step::Clone)?, console })
}

/// Clones with the container's PID namespace as the children's, and takes that back. `maker` is the end
/// of the channel that the child must not have: it would never hear that its maker is gone.
fn clone_into(
    entry: Entry<'_>,
    maker: Channel,
    cgroup: Option<std::os::fd::BorrowedFd<'_>>,
) -> Result<(i32, OwnedFd, Channel), StepError> {
    let own = if entry.plan.namespaces & flags::NEWPID == 0 {
        None
    } else {
        let flags_open = OFlags::RDONLY | OFlags::CLOEXEC;
        let own = rustix::fs::open("/proc/self/ns/pid", flags_open, Mode::empty())
            .on(Step::Namespace, "/proc/self/ns/pid")?;
        namespace::join(entry.target.as_fd(), flags::NEWPID).on(Step::Namespace, "Pid")?;
        Some(own)
    };
    let cloned = match clone3(0, cgroup).at(Step::Clone) {
        Ok(Cloned::Child) => {
            drop(maker);
            run(&entry)
        }
        Ok(Cloned::Parent { pid, pidfd }) => Ok((pid, pidfd, maker)),
        Err(error) => Err(error),
    };
    if let Some(own) = own {
        namespace::join(own.as_fd(), flags::NEWPID).on(Step::Namespace, "Pid")?;
    }
    cloned
}

fn run(entry: &Entry<'_>) -> ! {
    let Err(error) = steps(entry);
    init::fail(&entry.channel, &error)
}

fn steps(entry: &Entry<'_>) -> Result<Infallible, StepError> {
    let plan = entry.plan;
    process::reset_signals().at(Step::Stdio)?;
    process::set_dumpable(false).at(Step::Namespace)?;
    if !plan.process.affinity.0.is_empty() {
        sched::set_affinity(&plan.process.affinity.0).at(Step::Affinity)?;
    }
    entry.cgroup.join_self().at(Step::Cgroup)?;
    if entry.join_late {
        entry.cgroup.join_late().at(Step::Cgroup)?;
    }
    if entry.join != 0 {
        namespace::join(entry.target.as_fd(), entry.join).at(Step::Namespace)?;
    }
    if plan.namespaces & flags::NEWUSER != 0 {
        process::set_gid(0).on(Step::User, "gid 0 of the user namespace")?;
        process::set_uid(0).on(Step::User, "uid 0 of the user namespace")?;
    }
    match rustix::process::setsid() {
        Ok(_) | Err(Errno::PERM) => {}
        Err(error) => return Err(error).on(Step::Stdio, "setsid"),
    }
    if let Some(name) = &plan.keyring {
        init::join_keyring(name)?;
    }
    let console = match plan.process.terminal {
        true => Some(rootfs::open_inside(plan.process.console_size).at(Step::Console)?),
        false => None,
    };
    if let Some(console) = &console {
        if entry.io.keep_line_ends {
            rootfs::keep_line_ends(console.master.as_fd()).at(Step::Console)?;
        }
        entry.channel.send(&FromInit::Console, Some(console.master.as_fd())).at(Step::Channel)?;
    }
    let proc = init::open_proc_for(&plan.process)?;
    let last = Last {
        process: &plan.process,
        seccomp: plan.seccomp.as_ref(),
        io: entry.io,
        console,
        preserve_fds: plan.preserve_fds,
        allow_groups: !plan.rootless,
        channel: &entry.channel,
        gate: None,
        start_hooks: None,
    };
    init::finish(last, proc.as_ref())
}
