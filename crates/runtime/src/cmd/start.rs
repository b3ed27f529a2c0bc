use std::{io, os::fd::AsFd};

use longshore_runtime::{
    hooks,
    state::{Dir, EXEC_FIFO, Identity, Liveness, Status},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use super::{
    Command, Matches, Outcome,
    container::{self, run_hooks, step},
    failure::Failure,
    flag::{Arguments, Syntax},
    global::Global,
    signal,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax { command: "start", flags: &[], arguments: Arguments::Exactly(1), flags_first: false },
    arguments: "<container-id>",
    about: "execute the user's program in a created container",
    failed: 1,
    enters: false,
    run,
};

fn run(global: &Global, matches: &Matches) -> Outcome {
    let (dir, record) = container::open_locked(global, matches)?;
    match container::status(&dir, &record) {
        Status::Created => {}
        Status::Stopped => return Err(Failure::StartStopped),
        status => return Err(Failure::StartStarted { status }),
    }
    let relay = container::relay(&dir)?;
    let failed = |source| Failure::System { action: "open init", source };
    let init = record.init.ok_or(Failure::StartStopped)?;
    let process = init.open().map_err(failed)?.ok_or(Failure::StartStopped)?;
    open_gate(&dir, init)?;
    let spec = dir.spec()?;
    if let Err(error) = run_hooks(hooks::Kind::Poststart, &spec, &record, Status::Running) {
        // The specification's order: stop the container, and let `delete` find it stopped.
        init.signal(signal::KILL).ok();
        return Err(error.into());
    }
    container::relay_readiness(&global.log, &dir, relay, init.pid, process.as_fd())?;
    Ok(0)
}

/// Lets the init go on. The FIFO goes last: a `start` that was killed in between can be done again.
fn open_gate(dir: &Dir, init: Identity) -> Result<(), Failure> {
    let failed = |action| {
        let path = dir.path().join(EXEC_FIFO);
        move |errno: Errno| Failure::File { action, path, source: io::Error::from(errno) }
    };
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    step("start.gate")?;
    match rustix::fs::openat(dir, EXEC_FIFO, flags, Mode::empty()) {
        Ok(gate) => {
            rustix::io::write(&gate, b"0").map_err(failed("write to"))?;
            // The init's end is close-on-exec: without a reader the FIFO is in error, and the program
            // runs (or the init ended). Whoever signals the container after `start` reaches the program.
            let mut fds = [PollFd::new(&gate, PollFlags::empty())];
            rustix::io::retry_on_intr(|| poll(&mut fds, None)).map_err(failed("wait for"))?;
        }
        // Nobody waits: it went on already, or it ended just now.
        Err(Errno::NXIO) if init.liveness() == Liveness::Alive => {}
        Err(Errno::NXIO) => return Err(Failure::StartStopped),
        Err(errno) => return Err(failed("open")(errno)),
    }
    step("start.gone")?;
    rustix::fs::unlinkat(dir, EXEC_FIFO, AtFlags::empty()).map_err(failed("remove"))?;
    step("start.started")
}
