//! The child side: what a new process does between its clone and its exec.
//!
//! It runs on a copy of its maker's memory, so the plan is at hand and nothing is parsed here. It is
//! not dumpable from its first instruction to its exec: nobody in the container can trace it or take
//! its descriptors (CVE-2016-9962). Whatever fails is reported over the [`Channel`] and ends it.

mod channel;
mod credentials;
mod hook_state;
mod labels;
mod passwd;
mod proc;
mod program;
mod step;

use std::{
    convert::Infallible,
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use longshore_sys::{
    clone::flags,
    exec::execve,
    keyring, link, namespace,
    process::{self, exit_now},
    seccomp,
};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

pub(crate) use channel::{Channel, FromInit, ToInit};
pub(crate) use step::At;
pub use step::{Step, StepError};

use crate::{
    cgroup, failpoint, hooks,
    plan::{Plan, ProcessPlan},
    rootfs::{self, Console},
    seccomp::Filter,
    spec::{Hooks, NamespaceKind},
    state::Status,
};
pub(crate) use hook_state::HookState;
use proc::Proc;

/// The file mode mask of a process whose spec names none (runc's).
const DEFAULT_UMASK: u32 = 0o022;

/// Standard input, output and error for the process; `None` leaves the caller's.
#[derive(Debug, Default)]
pub struct ProcessIo {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    /// Whether a terminal leaves the ends of lines as they are, since another one behind it converts them.
    pub keep_line_ends: bool,
}

/// What the init of a container was born with, beside the plan.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) channel: Channel,
    pub(crate) io: &'a ProcessIo,
    pub(crate) cgroup: cgroup::Joiner,
    pub(crate) cgroup_view: cgroup::View,
    /// It was not born in its version 2 cgroup and has to move there.
    pub(crate) join_late: bool,
    /// Namespaces that the init joins itself.
    pub(crate) join: Vec<(NamespaceKind, OwnedFd)>,
    pub(crate) sources: rootfs::Sources,
    /// The FIFO on which `start` is awaited, where the exec is not to follow at once.
    pub(crate) gate: Option<OwnedFd>,
    /// What hooks that run here get on stdin.
    pub(crate) hook_state: HookState<'a>,
    /// Whether id maps, the OOM score or devices have to be waited for.
    pub(crate) wait_for_parent: bool,
}

/// Runs the init up to its exec. Never returns.
pub(crate) fn run(birth: Birth<'_>) -> ! {
    let mut birth = birth;
    let Err(error) = steps(&mut birth);
    fail(&birth.channel, &error)
}

/// Says why, and ends.
pub(crate) fn fail(channel: &Channel, error: &StepError) -> ! {
    channel.send_failure(error);
    exit_now(if error.source.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

fn steps(birth: &mut Birth<'_>) -> Result<Infallible, StepError> {
    let plan = birth.plan;
    begin(plan, birth)?;
    let namespaces = &plan.namespaces;
    if let Some(name) = &plan.keyring {
        join_keyring(name)?;
    }
    if namespaces.makes(NamespaceKind::Network) {
        link::loopback_up().at(Step::Network)?;
    }
    step(Step::RootMount, "init.mounts")?;
    let console = set_up_root(plan, birth)?;
    if !plan.hostname.is_empty() {
        process::set_host_name(plan.hostname.as_bytes()).on(Step::Hostname, &plan.hostname)?;
    }
    if !plan.domainname.is_empty() {
        process::set_domain_name(plan.domainname.as_bytes()).on(Step::Hostname, &plan.domainname)?;
    }
    let proc = match !plan.sysctls.is_empty() || labels::wanted(&plan.process) {
        true => Some(Proc::open().on(Step::Sysctl, "/proc")?),
        false => None,
    };
    if let Some(proc) = &proc {
        for (path, value) in &plan.sysctls {
            let path = format!("sys/{path}");
            proc.write(&path, value.as_bytes()).on(Step::Sysctl, format_args!("{path} to {value:?}"))?;
        }
    }
    let last = Last {
        process: &plan.process,
        seccomp: plan.seccomp.as_ref(),
        io: birth.io,
        console,
        preserve_fds: plan.preserve_fds,
        allow_groups: !(plan.rootless
            && namespaces.makes(NamespaceKind::User)
            && plan.namespaces.gid_map.len() == 1),
        channel: &birth.channel,
        gate: birth.gate.take(),
        start_hooks: (!plan.hooks.start_container.is_empty()).then_some((&plan.hooks, &birth.hook_state)),
    };
    finish(last, proc.as_ref())
}

/// A failpoint, as a step.
fn step(of: Step, name: &'static str) -> Result<(), StepError> {
    failpoint::step(name).on(of, name)
}

/// Whether the init makes its time namespace itself: that of a new user namespace is made from inside. Its clocks
/// are set by the maker, since the init is not dumpable and its files in `/proc` belong to the host's root.
pub(crate) fn makes_clocks(plan: &Plan) -> bool {
    plan.namespaces.makes(NamespaceKind::User) && !plan.namespaces.time_offsets.is_empty()
}

/// Goes to the time namespace that this process made for its children.
fn enter_clocks() -> Result<(), StepError> {
    let read = OFlags::RDONLY | OFlags::CLOEXEC;
    let made = rustix::fs::open("/proc/self/ns/time_for_children", read, Mode::empty());
    namespace::join(made.on(Step::Namespace, "Time")?.as_fd(), flags::NEWTIME).on(Step::Namespace, "Time")
}

/// Everything before the mounts: cgroup, namespaces, ids.
fn begin(plan: &Plan, birth: &mut Birth<'_>) -> Result<(), StepError> {
    process::reset_signals().at(Step::Stdio)?;
    step(Step::Cgroup, "init.cgroup")?;
    birth.cgroup.join_self().at(Step::Cgroup)?;
    if birth.join_late {
        birth.cgroup.join_late().at(Step::Cgroup)?;
    }
    let user = plan.namespaces.has(NamespaceKind::User);
    if !(plan.rootless && user) {
        // An unprivileged maker could not write the id maps of a process that is not dumpable.
        process::set_dumpable(false).at(Step::Namespace)?;
    }
    step(Step::Namespace, "init.enter")?;
    let clocks = makes_clocks(plan);
    if clocks {
        namespace::unshare(flags::NEWTIME).on(Step::Namespace, "Time")?;
        birth.channel.send(&FromInit::Clocks, None).at(Step::Channel)?;
    }
    if birth.wait_for_parent {
        birth.channel.expect(ToInit::Entered).at(Step::Channel)?;
    }
    if clocks {
        enter_clocks()?;
    }
    process::set_dumpable(false).at(Step::Namespace)?;
    for (kind, fd) in &birth.join {
        namespace::join(fd.as_fd(), kind.flag()).on(Step::Namespace, format_args!("{kind:?}"))?;
    }
    if user {
        process::set_gid(0).on(Step::User, "gid 0 of the user namespace")?;
        process::set_uid(0).on(Step::User, "uid 0 of the user namespace")?;
    }
    // Only now: its root is the cgroup that the process is in when the namespace is made.
    if plan.namespaces.makes(NamespaceKind::Cgroup) {
        namespace::unshare(flags::NEWCGROUP).on(Step::Namespace, "Cgroup")?;
    }
    match rustix::process::setsid() {
        Ok(_) | Err(Errno::PERM) => Ok(()),
        Err(error) => Err(error).on(Step::Stdio, "setsid"),
    }
}

pub(crate) fn join_keyring(name: &str) -> Result<(), StepError> {
    let c_name = CString::new(name).on(Step::Keyring, name)?;
    match keyring::join_session(&c_name) {
        // No keyrings in this kernel, or a sandbox around us that forbids them: nothing to keep apart.
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOSYS | Errno::PERM)) => Ok(()),
        result => result.on(Step::Keyring, name),
    }
}

/// Mounts, hooks and the new root.
fn set_up_root(plan: &Plan, birth: &mut Birth<'_>) -> Result<Option<Console>, StepError> {
    let runtime_hooks = !plan.hooks.prestart.is_empty() || !plan.hooks.create_runtime.is_empty();
    let terminal = plan.process.terminal.then_some(plan.process.console_size);
    let sources = std::mem::take(&mut birth.sources);
    let own = plan.namespaces.has(NamespaceKind::Mount);
    let private_cgroups = plan.namespaces.makes(NamespaceKind::Cgroup);
    let assembled =
        rootfs::assemble(&plan.rootfs, sources, &birth.cgroup_view, own, private_cgroups, terminal)?;
    if let Some(console) = assembled.console.as_ref().filter(|_| birth.io.keep_line_ends) {
        rootfs::keep_line_ends(console.master.as_fd()).at(Step::Console)?;
    }
    step(Step::Hook, "init.prepared")?;
    if runtime_hooks {
        birth.channel.send(&FromInit::Prepared, None).at(Step::Channel)?;
        birth.channel.expect(ToInit::Hooked).at(Step::Channel)?;
    }
    if !plan.hooks.create_container.is_empty() {
        rustix::process::fchdir(assembled.root()).at(Step::Hook)?;
        run_hooks(hooks::Kind::CreateContainer, Status::Creating, &plan.hooks, &birth.hook_state)?;
    }
    step(Step::Pivot, "init.pivot")?;
    let console = assembled.enter(&plan.rootfs)?;
    if let Some(console) = &console {
        birth.channel.send(&FromInit::Console, Some(console.master.as_fd())).at(Step::Channel)?;
    }
    Ok(console)
}

/// Runs hooks as the init: their parent is the container's first process.
fn run_hooks(
    kind: hooks::Kind,
    status: Status,
    hooks: &Hooks,
    state: &HookState<'_>,
) -> Result<(), StepError> {
    let list = kind.of(hooks);
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let state = state.json(status, pid).on(Step::Hook, kind.name())?;
    hooks::run(kind, list, &state)
        .map_err(|error| io::Error::other(longshore_types::line(&error)))
        .on(Step::Hook, kind.name())
}

/// What is left once the process stands in its container: the same for an init and for an exec.
pub(crate) struct Last<'a> {
    pub(crate) process: &'a ProcessPlan,
    pub(crate) seccomp: Option<&'a Filter>,
    pub(crate) io: &'a ProcessIo,
    pub(crate) console: Option<Console>,
    pub(crate) preserve_fds: u32,
    pub(crate) allow_groups: bool,
    pub(crate) channel: &'a Channel,
    pub(crate) gate: Option<OwnedFd>,
    pub(crate) start_hooks: Option<(&'a Hooks, &'a HookState<'a>)>,
}

/// From here to exec, of an init and of an exec. Never returns without an error.
pub(crate) fn finish(last: Last<'_>, proc: Option<&Proc>) -> Result<Infallible, StepError> {
    let plan = last.process;
    step(Step::Stdio, "init.finish")?;
    set_up_stdio(&last)?;
    credentials::set_attributes(plan)?;
    if let Some(proc) = proc {
        labels::apply(plan, proc)?;
    }
    let env = credentials::environment(plan);
    // Before the user changes, and again after: either may be the one with the right to it.
    let entered = enter_cwd(plan);
    own_stdio(plan)?;
    credentials::become_user(plan, last.allow_groups)?;
    if entered.is_err() {
        enter_cwd(plan)?;
    }
    rustix::process::umask(Mode::from_raw_mode(plan.umask.unwrap_or(DEFAULT_UMASK)));
    let name = plan.args.first().cloned().unwrap_or_default();
    let found = credentials::with_final_rights(plan, || program::find(&name, &env))?;
    let path = found.on(Step::Exec, name.to_string_lossy())?;
    // Nothing of the maker is kept open while the start is awaited: not its sockets, for whoever asks it
    // whether it lives, nor its pipes, for whoever reads to their end.
    let needed: Vec<_> = last.gate.iter().map(AsFd::as_fd).chain([last.channel.as_fd()]).collect();
    process::close_all_but(3 + last.preserve_fds, &needed).at(Step::Exec)?;
    // No way back from here: the owners would close their descriptors a second time.
    let Err(error) = execute(&last, &path, &env);
    fail(last.channel, &error)
}

/// The rest, with next to no descriptors.
fn execute(last: &Last<'_>, path: &CStr, env: &[CString]) -> Result<Infallible, StepError> {
    let plan = last.process;
    process::keep_on_exec(last.preserve_fds).at(Step::Exec)?;
    // What follows the filter has to get along with it: with no_new_privs, which lets anybody
    // install one, that is next to nothing; without, the capabilities are still to be reduced.
    if plan.no_new_privileges {
        process::set_no_new_privileges().at(Step::NoNewPrivileges)?;
        credentials::limit_capabilities(plan)?;
        install_filter(last)?;
    } else {
        install_filter(last)?;
        credentials::limit_capabilities(plan)?;
    }
    step(Step::Exec, "init.ready")?;
    last.channel.send(&FromInit::Ready, None).at(Step::Channel)?;
    last.channel.expect(ToInit::Go).at(Step::Channel)?;
    step(Step::Exec, "init.gate")?;
    wait_at_gate(last.gate.as_ref())?;
    if let Some((hooks, state)) = last.start_hooks {
        run_hooks(hooks::Kind::StartContainer, Status::Created, &with_environment(hooks, env), state)?;
        // The hooks did not get them.
        process::keep_on_exec(last.preserve_fds).at(Step::Exec)?;
    }
    Err(execve(path, &plan.args, env)).on(Step::Exec, path.to_string_lossy())
}

/// The hooks of the container's own side, with the process's environment where they bring none (runc's
/// hooks inherit that of the init).
fn with_environment(hooks: &Hooks, env: &[CString]) -> Hooks {
    let mut start_container = hooks.start_container.clone();
    for hook in start_container.iter_mut().filter(|hook| hook.env.is_empty()) {
        hook.env = env.iter().map(|pair| pair.to_string_lossy().into_owned()).collect();
    }
    Hooks { start_container, ..Hooks::default() }
}

/// Blocks until `start` writes a byte. The descriptor is open for writing too, so no end of file
/// comes when somebody merely looks whether the gate is attended.
fn wait_at_gate(gate: Option<&OwnedFd>) -> Result<(), StepError> {
    let Some(gate) = gate else { return Ok(()) };
    let mut byte = [0u8];
    loop {
        match rustix::io::read(gate, &mut byte) {
            Err(Errno::INTR) => {}
            result => return result.map(drop).on(Step::Exec, "the start gate"),
        }
    }
}

fn set_up_stdio(last: &Last<'_>) -> Result<(), StepError> {
    if let Some(console) = &last.console {
        for number in 0..=2 {
            process::replace_stdio(console.slave.as_fd(), number).at(Step::Stdio)?;
        }
        return process::set_controlling_terminal(console.slave.as_fd()).at(Step::Console);
    }
    let streams = [&last.io.stdin, &last.io.stdout, &last.io.stderr];
    for (number, stream) in (0..).zip(streams) {
        if let Some(stream) = stream {
            process::replace_stdio(stream.as_fd(), number).at(Step::Stdio)?;
        }
    }
    Ok(())
}

/// Gives the user its own standard streams, or it could not reopen `/dev/stdout`.
fn own_stdio(plan: &ProcessPlan) -> Result<(), StepError> {
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    for stream in streams {
        // A stream that the caller closed is nobody's to give.
        let Ok(status) = rustix::fs::fstat(stream) else { continue };
        let null = rustix::fs::makedev(1, 3);
        if status.st_uid == plan.uid || status.st_rdev == null {
            continue;
        }
        let uid = rustix::fs::Uid::from_raw(plan.uid);
        match rustix::fs::fchown(stream, Some(uid), None) {
            // Not ours to give: unmapped, read-only, or of a kind without owner (runc ignores these).
            Ok(()) | Err(Errno::PERM | Errno::ROFS | Errno::INVAL | Errno::NOTSUP) => {}
            Err(error) => return Err(error).on(Step::Stdio, format_args!("fd {}", stream.as_raw_fd())),
        }
    }
    Ok(())
}

/// Changes to the working directory and makes sure that it is inside the root: a leaked descriptor
/// of the host could be named as `/proc/self/fd/N` (CVE-2024-21626).
fn enter_cwd(plan: &ProcessPlan) -> Result<(), StepError> {
    let name = plan.cwd.to_string_lossy();
    match rustix::process::chdir(&plan.cwd) {
        Err(Errno::NOENT) => make_cwd(plan).on(Step::Cwd, &name)?,
        result => result.on(Step::Cwd, &name)?,
    }
    let here = rustix::process::getcwd(Vec::new()).on(Step::Cwd, &name)?;
    if here.as_bytes().first() != Some(&b'/') {
        return Err(io::Error::other("it is outside of the container's root")).on(Step::Cwd, &name);
    }
    Ok(())
}

/// Makes a missing working directory, as Docker's users expect of `WORKDIR` and `-w`. A symlink
/// on the way stays inside: this is after the change of root.
fn make_cwd(plan: &ProcessPlan) -> io::Result<()> {
    let path = std::path::Path::new(std::str::from_utf8(plan.cwd.as_bytes()).map_err(io::Error::other)?);
    std::fs::create_dir_all(path)?;
    Ok(rustix::process::chdir(path)?)
}

fn install_filter(last: &Last<'_>) -> Result<(), StepError> {
    const NEW_LISTENER: u64 = 1 << 3;
    let Some(filter) = last.seccomp else { return Ok(()) };
    let program: Vec<seccomp::Instruction> = filter
        .program
        .iter()
        .map(|i| seccomp::Instruction { code: i.code, jump_true: i.jt, jump_false: i.jf, operand: i.k })
        .collect();
    let mut flags = u64::from(filter.flags);
    if filter.listener.is_some() {
        flags |= NEW_LISTENER;
    }
    let listener = seccomp::install(&program, flags).at(Step::Seccomp)?;
    if let Some(listener) = listener {
        let number = listener.as_raw_fd();
        last.channel.send(&FromInit::Listener { number }, None).at(Step::Channel)?;
        last.channel.expect(ToInit::Listened).at(Step::Channel)?;
    }
    Ok(())
}

/// Opens the procfs that an exec'd process needs for its labels.
pub(crate) fn open_proc_for(plan: &ProcessPlan) -> Result<Option<Proc>, StepError> {
    labels::wanted(plan).then(Proc::open).transpose().on(Step::Label, "/proc")
}
