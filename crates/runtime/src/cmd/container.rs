//! What several commands do with a container: find it, ask for its status, end it.

use std::os::fd::BorrowedFd;

use longshore_runtime::{
    cgroup::{self, Cgroup},
    failpoint,
    hooks::{self, HookError},
    spec::{Hooks, Spec},
    state::{Dir, Presence, Record, Status},
};
use longshore_types::ContainerId;
use rustix::process::Signal;

use super::{
    Matches,
    failure::Failure,
    global::Global,
    log::{Log, chain},
    notify::{self, Relay},
};

/// Marks a step, see [`failpoint`].
pub(super) fn step(name: &'static str) -> Result<(), Failure> {
    failpoint::step(name).map_err(|source| Failure::System { action: "go on", source })
}

/// The ID that the first argument is.
pub(super) fn id(matches: &Matches) -> Result<ContainerId, Failure> {
    Ok(ContainerId::new(matches.arguments.first().map_or("", String::as_str))?)
}

/// Opens the directory of the container that the first argument names.
pub(super) fn open(global: &Global, matches: &Matches) -> Result<Dir, Failure> {
    Ok(global.root.open(&id(matches)?)?)
}

/// The container's status now.
pub(super) fn status(dir: &Dir, record: &Record) -> Status {
    Status::of(dir, record, || {
        // Whose cgroup cannot be read is not known to be frozen.
        cgroup(record).and_then(|cgroup| Ok(cgroup.is_frozen()?)).unwrap_or(false)
    })
}

/// Opens the container's cgroup.
pub(super) fn cgroup(record: &Record) -> Result<Cgroup, Failure> {
    let record: &cgroup::Record = record.cgroup.as_ref().ok_or(Failure::NotRunning)?;
    Ok(Cgroup::open(record)?)
}

/// Runs the hooks of `kind`; the first failure counts.
pub(super) fn run_hooks(
    kind: hooks::Kind,
    spec: &Spec,
    record: &Record,
    status: Status,
) -> Result<(), HookError> {
    let hooks = of_kind(spec.hooks.as_ref(), kind);
    if hooks.is_empty() { Ok(()) } else { hooks::run(kind, hooks, &state_of(record, status)) }
}

/// Unlocks a container that was started and passes on that it is ready, where somebody waits for that.
pub(super) fn relay_readiness(
    log: &Log,
    dir: &Dir,
    relay: Option<Relay>,
    pid: i32,
    process: BorrowedFd<'_>,
) -> Result<(), Failure> {
    dir.unlock()?;
    if let Some(relay) = relay
        && let Err(error) = relay.run(pid, process)
    {
        log.warning(&format!("cannot tell the service manager: {}", chain(&error)));
    }
    Ok(())
}

/// Binds the container's notification socket, where somebody waits to hear from it.
pub(super) fn relay(dir: &Dir) -> Result<Option<Relay>, Failure> {
    notify::manager().map_or(Ok(None), |manager| Relay::bind(dir, manager))
}

/// Runs the `poststop` hooks; failures are warnings.
fn run_poststop(log: &Log, spec: &Spec, record: &Record) {
    let hooks = of_kind(spec.hooks.as_ref(), hooks::Kind::Poststop);
    if hooks.is_empty() {
        return;
    }
    for error in hooks::run_all(hooks::Kind::Poststop, hooks, &state_of(record, Status::Stopped)) {
        log.warning(&chain(&error));
    }
}

fn of_kind(hooks: Option<&Hooks>, kind: hooks::Kind) -> &[longshore_runtime::spec::Hook] {
    hooks.map_or(&[], |hooks| kind.of(hooks))
}

fn state_of(record: &Record, status: Status) -> Vec<u8> {
    // Strings and numbers alone: it always encodes.
    serde_json::to_vec(&record.oci_state(status)).unwrap_or_default()
}

/// Removes all that is left of a stopped container, whose lock the caller holds: processes that
/// outlived its init, its cgroups, its directory. Runs the `poststop` hooks, before the directory goes: after a
/// crash they run again rather than never.
pub(super) fn destroy(
    global: &Global,
    dir: Dir,
    record: &Record,
    spec: Option<&Spec>,
) -> Result<(), Failure> {
    failpoint::step("destroy.cgroup").ok();
    if record.cgroup.is_some() {
        let cgroup = cgroup(record)?;
        // Nobody is left, mostly: those in a PID namespace of their own end with its init.
        if !cgroup.pids(true)?.is_empty() {
            cgroup.kill_all(Signal::KILL)?;
        }
        cgroup.remove()?;
    }
    failpoint::step("destroy.hooks").ok();
    match spec {
        Some(spec) => run_poststop(&global.log, spec, record),
        None => match dir.spec() {
            Ok(spec) => run_poststop(&global.log, &spec, record),
            Err(error) => global.log.warning(&format!("no poststop hooks: {}", chain(&error))),
        },
    }
    global.log.debug(|| format!("container {} is gone", dir.id()));
    Ok(dir.remove()?)
}

/// Opens and locks a container to change it.
pub(super) fn open_locked(global: &Global, matches: &Matches) -> Result<(Dir, Box<Record>), Failure> {
    let dir = open(global, matches)?;
    match dir.presence()? {
        Presence::Busy => return Err(Failure::Busy { id: dir.id().clone() }),
        Presence::Whole(_) | Presence::Broken => dir.lock()?,
    }
    let record = Box::new(dir.record()?);
    Ok((dir, record))
}
