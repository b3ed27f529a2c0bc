use super::{
    Command, Matches, Outcome,
    failure::Failure,
    flag::{Arguments, Syntax},
    global::Global,
    print,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax { command: "features", flags: &[], arguments: Arguments::Exactly(0), flags_first: false },
    arguments: "",
    about: "show what is supported",
    failed: 1,
    enters: false,
    run,
};

fn run(_: &Global, _: &Matches) -> Outcome {
    let mut text = serde_json::to_vec_pretty(&longshore_runtime::features::features())
        .map_err(|error| Failure::Output { source: error.into() })?;
    text.push(b'\n');
    print(&text)
}
