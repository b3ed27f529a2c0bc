use std::os::fd::AsFd;

use longshore_runtime::{hooks, init::ProcessIo, state::Status};

use super::{
    Command, Matches, Outcome,
    container::{destroy, relay, relay_readiness, run_hooks},
    failure::Failure,
    flag::{Arguments, Flag, Syntax},
    foreground::Foreground,
    global::Global,
    launch::{self, Made, Options, Planned},
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "run",
        flags: &[
            launch::FLAGS,
            &[
                Flag::switch("detach", "do not wait for the container's process").short('d'),
                Flag::switch("keep", "do not delete the container after it exits"),
                Flag::switch("no-subreaper", "do not reap what the container's processes leave behind"),
            ],
        ],
        arguments: Arguments::Exactly(1),
        flags_first: false,
    },
    arguments: "<container-id>",
    about: "create and run a container",
    failed: 1,
    enters: true,
    run,
};

fn run(global: &Global, matches: &Matches) -> Outcome {
    let detached = matches.has("detach");
    let planned = Planned::new(global, Options::new(matches)?, detached)?;
    if !matches.has("no-subreaper") {
        longshore_sys::process::set_child_subreaper(true)
            .map_err(|source| Failure::System { action: "become a subreaper", source })?;
    }
    if detached {
        let mut made = planned.create(global, &ProcessIo::default(), false)?;
        return match start_detached(global, &mut made) {
            Ok(()) => Ok(0),
            Err(failure) => made.undo(global, failure),
        };
    }
    let (mut foreground, io) = Foreground::new(planned.has_terminal())?;
    let mut made = planned.create(global, &io, false)?;
    // The other ends are the container's now: their end has to be seen.
    drop(io);
    match see_through(&mut made, &mut foreground) {
        Ok(code) if matches.has("keep") => Ok(code),
        Ok(code) => {
            made.dir.lock()?;
            destroy(global, made.dir, &made.record, Some(&made.spec))?;
            Ok(code)
        }
        Err(failure) => made.undo(global, failure),
    }
}

/// Lets the program go, and runs the hooks that follow.
fn start(made: &mut Made) -> Result<(), Failure> {
    made.created.start()?;
    Ok(run_hooks(hooks::Kind::Poststart, &made.spec, &made.record, Status::Running)?)
}

fn start_detached(global: &Global, made: &mut Made) -> Result<(), Failure> {
    let relay = relay(&made.dir)?;
    start(made)?;
    relay_readiness(&global.log, &made.dir, relay, made.created.pid, made.created.pidfd.as_fd())
}

fn see_through(made: &mut Made, foreground: &mut Foreground) -> Result<u8, Failure> {
    let failed = |action| move |source| Failure::System { action, source };
    let console = made.created.console.take();
    let terminal = console.as_ref().map(|console| foreground.attach(console));
    let terminal = terminal.transpose().map_err(failed("use the terminal"))?;
    foreground.relay = relay(&made.dir)?;
    start(made)?;
    made.dir.unlock()?;
    let terminal = terminal.as_ref().zip(console.as_ref());
    foreground.wait(made.created.pid, &made.created.pidfd, terminal).map_err(failed("wait for the container"))
}
