//! Making a container from a plan.
//!
//! [`create`] makes the cgroup, clones the init and sees it through until only the exec is left;
//! [`Created::start`] lets it go. The caller becomes the init's parent and must have one thread. What
//! fails on the way is undone here, in reverse order; what a killed caller leaves behind is found
//! through the record that it saved before.

mod idmap;
mod listener;
mod netdev;
pub(crate) mod stage;

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use longshore_sys::{
    clone::{Cloned, clone3, flags},
    pidfd,
};
use longshore_types::{ContainerId, Kind};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    process::{WaitId, WaitIdOptions, waitid},
};

use crate::{
    cgroup::{self, Cgroup, CgroupError},
    external::{self, External},
    failpoint,
    hooks::{self, HookError},
    init::{self, At, Birth as InitBirth, Channel, FromInit, HookState, ProcessIo, Step, StepError, ToInit},
    plan::Plan,
    rootfs::Sources,
    seccomp::Filter,
    spec::NamespaceKind,
    state::Status,
};

/// How long a child that nothing can be done with any more may take to be dead.
const DYING: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// When the init executes the user's program.
#[derive(Debug)]
pub enum Gate {
    /// When [`Created::start`] says so.
    Immediate,
    /// When somebody writes a byte to this FIFO (open for reading and writing), at any time after
    /// [`Created::release`].
    Fifo(OwnedFd),
}

/// What happens as soon as the init exists, while it still mounts.
pub struct Birth<'a> {
    /// Puts the init, by its number, on record; nothing of it can outlive its maker before.
    pub record: &'a mut dyn FnMut(i32, &Cgroup) -> io::Result<()>,
    /// Lets the init go on to its gate or exec without asking again: two changes of process less.
    pub go: bool,
}

impl std::fmt::Debug for Birth<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Birth").field("go", &self.go).finish_non_exhaustive()
    }
}

/// Why a container could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error("cannot set up the cgroup")]
    Cgroup(#[from] CgroupError),
    #[error("cannot start the container")]
    Step(#[from] StepError),
    #[error("a hook failed")]
    Hook(#[from] HookError),
    #[error("cannot put the container on record")]
    Record(#[source] io::Error),
    #[error("OCI runtime {verb} failed")]
    External { verb: &'static str, source: external::Said },
    #[error("the init ended without a word")]
    Vanished,
    #[error("the init was killed when it was born into its cgroup")]
    KilledAtBirth,
}

impl CreateError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cgroup(_)
            | Self::Record(_)
            | Self::External { .. }
            | Self::Vanished
            | Self::KilledAtBirth => Kind::Internal,
            Self::Hook(error) => error.kind(),
            Self::Step(error) => match (error.step, error.source.kind()) {
                (Step::Exec, io::ErrorKind::NotFound) => Kind::NotFound,
                (Step::Exec, io::ErrorKind::PermissionDenied) => Kind::PermissionDenied,
                (Step::Mount | Step::Cwd | Step::Device | Step::MaskedPath, _) => Kind::InvalidInput,
                _ => Kind::Internal,
            },
        }
    }
}

/// A container whose init waits for its exec.
#[derive(Debug)]
pub struct Created {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// The master side of the container's terminal, where the plan has one.
    pub console: Option<OwnedFd>,
    pub cgroup: Cgroup,
    pub(crate) waiting: Waiting,
}

/// The way to an init that waits for its exec.
#[derive(Debug)]
pub(crate) enum Waiting {
    Own {
        channel: Channel,
        /// It was told to go already.
        released: bool,
    },
    /// One of another's runtime.
    External { runtime: External, id: ContainerId },
}

/// Makes the container of `plan` up to its exec.
///
/// `root` is a detached mount to use as the root instead of the plan's path.
///
/// # Errors
/// The first thing that failed; the container is gone then, its cgroup too.
pub fn create(
    plan: &Plan,
    host: &cgroup::Layout,
    io: &ProcessIo,
    gate: Gate,
    root: Option<OwnedFd>,
    mut birth: Birth<'_>,
) -> Result<Created, CreateError> {
    failpoint::step("create.cgroup").at(Step::Cgroup)?;
    let cgroup = Cgroup::create(&plan.cgroup, host)?;
    let parts = Parts { plan, host, cgroup: &cgroup, io, gate: &gate, root: root.as_ref() };
    let made = match create_in(&parts, &mut birth, true) {
        Err(CreateError::KilledAtBirth) => create_in(&parts, &mut birth, false),
        made => made,
    };
    match made {
        Ok(Made { pid, pidfd, console, channel, released }) => {
            cgroup.settle();
            Ok(Created { pid, pidfd, console, cgroup, waiting: Waiting::Own { channel, released } })
        }
        Err(error) => {
            // The error that led here says more than one about what is left of it.
            cgroup.remove().ok();
            Err(error)
        }
    }
}

/// What a container is made of.
struct Parts<'a> {
    plan: &'a Plan,
    host: &'a cgroup::Layout,
    cgroup: &'a Cgroup,
    io: &'a ProcessIo,
    gate: &'a Gate,
    root: Option<&'a OwnedFd>,
}

struct Made {
    pid: i32,
    pidfd: OwnedFd,
    console: Option<OwnedFd>,
    channel: Channel,
    released: bool,
}

/// Makes the init, born in its version 2 cgroup or moved there after its birth.
fn create_in(parts: &Parts<'_>, hook: &mut Birth<'_>, born_inside: bool) -> Result<Made, CreateError> {
    let Parts { plan, host, cgroup, io, .. } = *parts;
    let (channel, init_channel) = Channel::pair().at(Step::Channel)?;
    let mut joined = open_namespaces(plan)?;
    let user = joined.iter().position(|(kind, _)| *kind == NamespaceKind::User);
    let root = parts.root.map(OwnedFd::try_clone).transpose().at(Step::RootMount)?;
    let mut sources = Sources { root, binds: Vec::new() };
    if plan.namespaces.has(NamespaceKind::User) || plan.rootfs.mounts.iter().any(|step| step.id_map.is_some())
    {
        sources.binds = idmap::open_sources(plan, user.map(|at| joined[at].1.as_fd()))?;
    }
    let network = joined.iter().find(|(kind, _)| *kind == NamespaceKind::Network);
    let network = network.map(|(_, fd)| fd.try_clone()).transpose().at(Step::Namespace)?;
    let staged = stage::is_needed(plan);
    // Joined by the stage in between, or by the init itself.
    let for_init = if staged { Vec::new() } else { std::mem::take(&mut joined) };
    let maps = plan.namespaces.makes(NamespaceKind::User);
    let wait_for_parent = maps || plan.process.oom_score_adj.is_some() || !plan.net_devices.is_empty();
    let joiner = cgroup.joiner()?;
    let into = joiner.into.as_ref().filter(|_| born_inside).map(OwnedFd::try_clone);
    let into = into.transpose().at(Step::Cgroup)?;
    let birth = InitBirth {
        plan,
        channel: init_channel,
        io,
        cgroup: joiner,
        cgroup_view: cgroup.view(host),
        join: for_init,
        sources,
        join_late: !born_inside,
        gate: match parts.gate {
            Gate::Immediate => None,
            Gate::Fifo(fd) => Some(fd.try_clone().at(Step::Channel)?),
        },
        hook_state: HookState(plan),
        wait_for_parent,
    };
    failpoint::step("create.clone").at(Step::Clone)?;
    // The cgroup namespace is made later, by the init: see there.
    let mut new = plan.namespaces.new & !flags::NEWCGROUP;
    if init::makes_clocks(plan) {
        new &= !flags::NEWTIME;
    }
    let (pid, pidfd, channel) = if staged {
        stage::clone(plan, new, &joined, into.as_ref().map(AsFd::as_fd), birth, channel)?
    } else {
        match clone3(new, into.as_ref().map(AsFd::as_fd)).at(Step::Clone)? {
            Cloned::Child => {
                // While it has the maker's end itself it never hears that the maker is gone.
                drop(channel);
                init::run(birth)
            }
            Cloned::Parent { pid, pidfd } => {
                drop(birth);
                (pid, pidfd, channel)
            }
        }
    };
    let guard = KillGuard::new(pidfd);
    if wait_for_parent {
        let prepared = prepare_from_outside(plan, pid, network.as_ref(), &channel, maps);
        if prepared.is_err() && born_inside && was_killed(guard.pidfd(), Some(&DYING)) {
            return Err(CreateError::KilledAtBirth);
        }
        prepared?;
    }
    (hook.record)(pid, cgroup).map_err(CreateError::Record)?;
    // Where the init has other answers to wait for, `Go` would come before them.
    let asks = !plan.hooks.prestart.is_empty()
        || !plan.hooks.create_runtime.is_empty()
        || plan.seccomp.as_ref().is_some_and(|filter| filter.listener.is_some());
    let released = hook.go && !asks;
    if released {
        failpoint::step("create.go").at(Step::Channel)?;
        channel.send_unless_gone(&ToInit::Go).at(Step::Channel)?;
    }
    let console = see_through(plan, pid, guard.pidfd(), &channel)?;
    Ok(Made { pid, pidfd: guard.release().at(Step::Clone)?, console, channel, released })
}

/// Whether a child that closed its channel before it said anything dies of SIGKILL. Linux (6.14 to
/// 6.18 at least) kills what is born into a cgroup when `cgroup.kill` was used on the parent's or that
/// one; see `Joiner::join_late`.
///
/// Waits for its end, for ever or for `limit`: the channel is closed on the way there, some time before.
pub(crate) fn was_killed(pidfd: BorrowedFd<'_>, limit: Option<&Timespec>) -> bool {
    const KILL: i32 = 9;
    let mut end = [PollFd::new(&pidfd, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut end, limit)).ok();
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let ended = waitid(WaitId::PidFd(pidfd), options);
    ended.is_ok_and(|status| status.is_some_and(|status| status.terminating_signal() == Some(KILL)))
}

/// Kills and reaps a child unless all went well.
pub(crate) struct KillGuard {
    pidfd: OwnedFd,
    armed: bool,
}

impl KillGuard {
    pub(crate) fn new(pidfd: OwnedFd) -> Self {
        Self { pidfd, armed: true }
    }

    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// All went well.
    pub(crate) fn release(mut self) -> io::Result<OwnedFd> {
        let pidfd = self.pidfd.try_clone()?;
        self.armed = false;
        Ok(pidfd)
    }
}

impl Drop for KillGuard {
    fn drop(&mut self) {
        if self.armed {
            kill_and_reap(&self.pidfd);
        }
    }
}

fn kill_and_reap(pidfd: &OwnedFd) {
    const KILL: i32 = 9;
    // Either it is killed now or it was gone before: both are fine.
    pidfd::send_signal(pidfd.as_fd(), KILL).ok();
    waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).ok();
}

fn open_namespaces(plan: &Plan) -> Result<Vec<(NamespaceKind, OwnedFd)>, StepError> {
    let mut opened = Vec::with_capacity(plan.namespaces.join.len());
    for (kind, path) in &plan.namespaces.join {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .on(Step::Namespace, path)?;
        const NSFS_MAGIC: i64 = 0x6e73_6673;
        if rustix::fs::fstatfs(&fd).on(Step::Namespace, path)?.f_type as i64 != NSFS_MAGIC {
            return Err(io::Error::other("it is not a namespace")).on(Step::Namespace, path);
        }
        opened.push((*kind, fd));
    }
    Ok(opened)
}

/// What only the parent can do for the init before it goes on.
fn prepare_from_outside(
    plan: &Plan,
    pid: i32,
    network: Option<&OwnedFd>,
    channel: &Channel,
    maps: bool,
) -> Result<(), StepError> {
    failpoint::step("create.enter").at(Step::IdMap)?;
    if maps {
        idmap::write(plan, pid)?;
    }
    if init::makes_clocks(plan) {
        set_clocks(plan, pid, channel)?;
    }
    if let Some(score) = plan.process.oom_score_adj {
        set_oom_score(pid, score, plan.rootless)?;
    }
    if !plan.net_devices.is_empty() {
        match network {
            // The init joins it only later.
            Some(joined) => netdev::move_into(&plan.net_devices, joined.as_fd())?,
            None => netdev::move_all(&plan.net_devices, pid)?,
        }
    }
    channel.send_unless_gone(&ToInit::Entered).at(Step::Channel)
}

/// Sets the clocks of the time namespace that the init makes for itself, once it did.
fn set_clocks(plan: &Plan, pid: i32, channel: &Channel) -> Result<(), StepError> {
    let said = channel.receive::<FromInit>().at(Step::Channel)?.map(|(message, _)| message);
    if said != Some(FromInit::Clocks) {
        let silent = || Err(io::Error::other("the init ended without a word")).at(Step::Namespace);
        return said.and_then(FromInit::into_error).map_or_else(silent, Err);
    }
    fs::write(format!("/proc/{pid}/timens_offsets"), &plan.namespaces.time_offsets)
        .on(Step::Namespace, "linux.timeOffsets")
}

pub(crate) fn set_oom_score(pid: i32, score: i32, rootless: bool) -> Result<(), StepError> {
    match fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string()) {
        // Lowering it needs a privilege that a rootless caller cannot have; runc goes on too.
        Err(error) if rootless && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result.on(Step::OomScore, score),
    }
}

fn owner(plan: &Plan) -> Owner<'_> {
    Owner {
        id: &plan.id,
        status: Status::Creating,
        init: None,
        bundle: &plan.bundle,
        annotations: &plan.annotations,
    }
}

/// Answers the init until it is ready; returns its console.
fn see_through(
    plan: &Plan,
    pid: i32,
    pidfd: BorrowedFd<'_>,
    channel: &Channel,
) -> Result<Option<OwnedFd>, CreateError> {
    let mut console = None;
    let mut heard = false;
    loop {
        let Some((message, fd)) = channel.receive().at(Step::Channel)? else {
            let at_birth = !heard && was_killed(pidfd, None);
            return Err(if at_birth { CreateError::KilledAtBirth } else { CreateError::Vanished });
        };
        heard = true;
        match message {
            FromInit::Prepared => {
                failpoint::step("create.hooks").at(Step::Hook)?;
                let state = HookState(plan).json(Status::Creating, pid).at(Step::Hook)?;
                for kind in [hooks::Kind::Prestart, hooks::Kind::CreateRuntime] {
                    hooks::run(kind, kind.of(&plan.hooks), &state)?;
                }
                channel.send(&ToInit::Hooked, None).at(Step::Channel)?;
            }
            FromInit::Console => console = fd,
            FromInit::Listener { number } => {
                listener::hand_over(plan.seccomp.as_ref(), &owner(plan), pid, pidfd, number)?;
                channel.send(&ToInit::Listened, None).at(Step::Channel)?;
            }
            FromInit::Ready => {
                failpoint::step("create.ready").at(Step::Channel)?;
                return Ok(console);
            }
            failed @ (FromInit::Clocks | FromInit::Failed { .. }) => {
                return Err(failed.into_error().map_or(CreateError::Vanished, CreateError::Step));
            }
        }
    }
}

pub(crate) use listener::Owner;

impl Created {
    /// Lets the init execute the user's program and waits until it does.
    ///
    /// # Errors
    /// What the exec answered; the init is gone then.
    pub fn start(&mut self) -> Result<(), CreateError> {
        self.waiting.start()
    }

    /// Lets the init go on to its gate: the container is on record, so it may outlive its maker.
    pub fn release(&mut self) -> Result<(), CreateError> {
        self.waiting.release()
    }

    /// Kills the init and removes the cgroup: for a caller that cannot go on.
    pub fn abort(self) {
        kill_and_reap(&self.pidfd);
        self.cgroup.remove().ok();
    }
}

impl Waiting {
    /// See [`Created::start`].
    pub(crate) fn start(&mut self) -> Result<(), CreateError> {
        self.release()?;
        match self {
            Self::Own { channel, .. } => wait_for_exec(channel),
            Self::External { runtime, id } => runtime.start(id.as_str()),
        }
    }

    fn release(&mut self) -> Result<(), CreateError> {
        failpoint::step("create.release").at(Step::Channel)?;
        match self {
            Self::Own { channel, released: false } => {
                Ok(channel.send(&ToInit::Go, None).at(Step::Channel)?)
            }
            Self::Own { .. } | Self::External { .. } => Ok(()),
        }
    }
}

/// End of file means that the exec closed the init's end.
pub(crate) fn wait_for_exec(channel: &Channel) -> Result<(), CreateError> {
    match channel.receive::<FromInit>().at(Step::Channel)? {
        None => Ok(()),
        Some((message, _)) => Err(message.into_error().map_or(CreateError::Vanished, CreateError::Step)),
    }
}

/// Waits for `Ready`, lets the process go, waits for its exec: the parent's part of an exec.
pub(crate) fn see_to_exec(
    seccomp: Option<&Filter>,
    owner: &Owner<'_>,
    pid: i32,
    pidfd: BorrowedFd<'_>,
    channel: &Channel,
) -> Result<Option<OwnedFd>, CreateError> {
    let mut console = None;
    loop {
        match channel.receive().at(Step::Channel)? {
            None => return Err(CreateError::Vanished),
            Some((FromInit::Console, fd)) => console = fd,
            Some((FromInit::Listener { number }, _)) => {
                listener::hand_over(seccomp, owner, pid, pidfd, number)?;
                channel.send(&ToInit::Listened, None).at(Step::Channel)?;
            }
            Some((FromInit::Ready, _)) => {
                channel.send(&ToInit::Go, None).at(Step::Channel)?;
                wait_for_exec(channel)?;
                return Ok(console);
            }
            Some((message, _)) => {
                return Err(message.into_error().map_or(CreateError::Vanished, CreateError::Step));
            }
        }
    }
}
