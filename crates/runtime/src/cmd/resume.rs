use longshore_runtime::state::Status;

use super::{
    Command, Matches, Outcome, container,
    failure::Failure,
    flag::{Arguments, Syntax},
    global::Global,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax { command: "resume", flags: &[], arguments: Arguments::Exactly(1), flags_first: false },
    arguments: "<container-id>",
    about: "resume all processes of a paused container",
    failed: 1,
    enters: false,
    run,
};

fn run(global: &Global, matches: &Matches) -> Outcome {
    let (dir, record) = container::open_locked(global, matches)?;
    match container::status(&dir, &record) {
        Status::Paused => container::cgroup(&record)?.thaw()?,
        _ => return Err(Failure::NotPaused),
    }
    Ok(0)
}
