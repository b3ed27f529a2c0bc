use longshore_runtime::{
    spec::NamespaceKind,
    state::{Record, Status},
};
use rustix::process::Signal;

use super::{
    Command, Matches, Outcome, container,
    failure::Failure,
    flag::{Arguments, Flag, Syntax},
    global::Global,
    signal,
};

pub(super) static COMMAND: Command = Command {
    syntax: Syntax {
        command: "kill",
        flags: &[&[Flag::switch("all", "send the signal to all processes of the container").short('a')]],
        arguments: Arguments::Between(1, 2),
        flags_first: false,
    },
    arguments: "<container-id> [signal]",
    about: "send a signal (SIGTERM by default) to the init process of a container",
    failed: 1,
    enters: false,
    run,
};

fn run(global: &Global, matches: &Matches) -> Outcome {
    let name = matches.arguments.get(1).map_or("SIGTERM", String::as_str);
    let signal = signal::parse(name).ok_or_else(|| Failure::UnknownSignal { name: name.into() })?;
    // No lock: whoever holds it may be waiting for the very process that is to be killed.
    let dir = container::open(global, matches)?;
    let record = dir.record()?;
    let status = container::status(&dir, &record);
    // Without a PID namespace of its own, processes outlive the init.
    let shares_pids = !record.namespaces.contains(&NamespaceKind::Pid);
    if matches.has("all") || (signal == signal::KILL && shares_pids) {
        return kill_all(&record, signal, status, matches.has("all"));
    }
    let init = record.init.filter(|_| status != Status::Stopped).ok_or(Failure::NotRunning)?;
    let sent = init.signal(signal).map_err(|source| Failure::System { action: "signal init", source })?;
    if !sent {
        return Err(Failure::NotRunning);
    }
    if signal == signal::KILL && status == Status::Paused {
        // A frozen task dies once it is thawed (cgroup v1).
        container::cgroup(&record)?.thaw()?;
    }
    Ok(0)
}

fn kill_all(record: &Record, number: i32, status: Status, asked: bool) -> Outcome {
    let cgroup = container::cgroup(record)?;
    // Those left behind by a stopped init count as the container here; none of them is no error to
    // whoever asked for all.
    if !asked && status == Status::Stopped && cgroup.pids(true)?.is_empty() {
        return Err(Failure::NotRunning);
    }
    // Signal 0 only asks whether there is somebody.
    if number != 0 {
        let unknown = || Failure::UnknownSignal { name: number.to_string() };
        cgroup.kill_all(Signal::from_named_raw(number).ok_or_else(unknown)?)?;
    }
    Ok(0)
}
