use longshore_runtime::state::Status;

use super::{
    Command, Matches, Outcome, container,
    failure::Failure,
    flag::{Arguments, Syntax},
    global::Global,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax { command: "pause", flags: &[], arguments: Arguments::Exactly(1), flags_first: false },
    arguments: "<container-id>",
    about: "suspend all processes of a container",
    failed: 1,
    enters: false,
    run,
};

fn run(global: &Global, matches: &Matches) -> Outcome {
    let (dir, record) = container::open_locked(global, matches)?;
    match container::status(&dir, &record) {
        Status::Running | Status::Created => container::cgroup(&record)?.freeze()?,
        _ => return Err(Failure::NotRunning),
    }
    Ok(0)
}
