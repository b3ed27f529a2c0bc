use longshore_runtime::state::{Identity, Presence, Record, StateError, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    Command, Matches, Outcome, container,
    failure::Failure,
    flag::{Arguments, Flag, Syntax},
    global::Global,
    log::chain,
    salvage::salvage,
    signal,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "delete",
        flags: &[&[Flag::switch("force", "kill the container if it still runs").short('f')]],
        arguments: Arguments::Exactly(1),
        flags_first: false,
    },
    arguments: "<container-id>",
    about: "delete a container",
    failed: 1,
    enters: false,
    run,
};

/// How long a killed init may take to go.
const DEATH: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// How long an init that still runs may take before the container counts as running.
const GRACE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

fn run(global: &Global, matches: &Matches) -> Outcome {
    let force = matches.has("force");
    let dir = match container::open(global, matches) {
        Err(Failure::State(StateError::NotFound { .. })) if force => return Ok(0),
        other => other?,
    };
    let locked = dir.lock();
    match locked {
        Err(StateError::NotFound { .. }) if force => return Ok(0),
        other => other?,
    }
    let presence = match dir.presence() {
        Err(error @ (StateError::Load { .. } | StateError::Format { .. })) if force => {
            global.log.warning(&chain(&error));
            salvage(global, dir)?;
            return Ok(0);
        }
        other => other?,
    };
    let record = match presence {
        Presence::Whole(record) => record,
        // Nothing but the directory was ever made, or is left.
        Presence::Broken | Presence::Busy => {
            let id = dir.id().clone();
            dir.remove()?;
            return if force { Ok(0) } else { Err(StateError::NotFound { id }.into()) };
        }
    };
    let mut status = container::status(&dir, &record);
    if let (false, Status::Running, Some(init)) = (force, status, record.init) {
        // A signal that `kill` sent a moment ago may be on its way.
        if ends_within(init, GRACE)? {
            status = Status::Stopped;
        }
    }
    match (status, record.init) {
        (Status::Stopped | Status::Creating, _) | (_, None) => {}
        (status, Some(init)) if force || status == Status::Created => kill(init, &record)?,
        (status, _) => return Err(Failure::DeleteRunning { id: dir.id().clone(), status }),
    }
    container::step("delete.destroy")?;
    container::destroy(global, dir, &record, None)?;
    Ok(0)
}

/// Kills the init and waits for its end.
fn kill(init: Identity, record: &Record) -> Result<(), Failure> {
    let failed = |source| Failure::System { action: "kill init", source };
    init.signal(signal::KILL).map_err(failed)?;
    // A frozen task dies once it is thawed (cgroup v1).
    let cgroup = container::cgroup(record)?;
    if cgroup.is_frozen()? {
        cgroup.thaw()?;
    }
    if ends_within(init, DEATH)? { Ok(()) } else { Err(Failure::StillRunning { pid: init.pid }) }
}

/// Waits for the end of the init.
fn ends_within(init: Identity, time: Timespec) -> Result<bool, Failure> {
    let failed = |source| Failure::System { action: "wait for init", source };
    let Some(process) = init.open().map_err(failed)? else { return Ok(true) };
    let mut fds = [PollFd::new(&process, PollFlags::IN)];
    let ended = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&time)));
    ended.map(|count| count > 0).map_err(|errno| failed(errno.into()))
}
