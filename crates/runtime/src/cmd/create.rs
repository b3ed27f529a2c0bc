use longshore_runtime::init::ProcessIo;

use super::{
    Command, Matches, Outcome,
    failure::Failure,
    flag::{Arguments, Syntax},
    global::Global,
    launch::{self, Options, Planned},
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "create",
        flags: &[launch::FLAGS],
        arguments: Arguments::Exactly(1),
        flags_first: false,
    },
    arguments: "<container-id>",
    about: "create a container",
    failed: 1,
    enters: true,
    run,
};

fn run(global: &Global, matches: &Matches) -> Outcome {
    let planned = Planned::new(global, Options::new(matches)?, true)?;
    let mut made = planned.create(global, &ProcessIo::default(), true)?;
    match made.created.release() {
        Ok(()) => Ok(0),
        Err(error) => made.undo(global, Failure::from(error)),
    }
}
