use std::os::fd::{AsFd, OwnedFd};

use longshore_runtime::spawner;
use longshore_sys::{
    clone::{Cloned, clone3},
    pidfd, process,
};
use rustix::fs::{Mode, OFlags};

use super::{
    Command, Matches, Outcome,
    failure::Failure,
    flag::{Arguments, Flag, Syntax},
    global::Global,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "spawner",
        flags: &[&[
            Flag::value("socket-fd", "number", "descriptor of the listening SEQPACKET socket, 0 by default"),
            Flag::switch("foreground", "stay the child of whoever started this"),
        ]],
        arguments: Arguments::Exactly(0),
        flags_first: false,
    },
    arguments: "",
    about: "fork a monitor for each container that is asked for (started by the daemon)",
    failed: 1,
    enters: true,
    run,
};

fn run(_: &Global, matches: &Matches) -> Outcome {
    let system = |action| move |source| Failure::System { action, source };
    let number: i32 = matches.number("socket-fd")?.unwrap_or(0);
    let listener = descriptor(number).map_err(system("take the listening socket"))?;
    if !matches.has("foreground") {
        // Its own death is nobody's child's: the starter waits for this process alone.
        if let Cloned::Parent { .. } = clone3(0, None).map_err(system("fork"))? {
            return Ok(0);
        }
        rustix::process::setsid().map_err(|errno| system("start a session")(errno.into()))?;
    }
    rustix::process::chdir("/").map_err(|errno| system("change directory")(errno.into()))?;
    close_stdio().map_err(system("open /dev/null"))?;
    spawner::run(listener)?;
    Ok(0)
}

/// Takes a descriptor that was inherited by number.
fn descriptor(number: i32) -> std::io::Result<OwnedFd> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    pidfd::get_descriptor(pidfd::open(own)?.as_fd(), number)
}

fn close_stdio() -> std::io::Result<()> {
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    (0..=2).try_for_each(|number| process::replace_stdio(null.as_fd(), number))
}
