//! The command line: a file per command, each with its flags, its typed arguments and what it does.
//!
//! Flags, texts that callers match on and exit codes are runc's (measured with 1.1.5 and 1.5): 1 for
//! a failure, 255 for one of `exec`, else what the container's process ended with. A failure is one
//! line on stderr, see [`log`].

mod container;
mod failure;
mod flag;
mod foreground;
mod global;
mod help;
mod inherited;
mod launch;
mod log;
mod notify;
mod pump;
pub(crate) mod reaper;
mod salvage;
mod signal;
mod size;
mod socket;
mod sub_cgroup;
mod terminal;

mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod resume;
mod run;
mod spawner;
mod spec;
mod start;
mod state;
mod update;

use std::{ffi::OsString, io::Write};

use failure::{Failure, Outcome};
use flag::{Matches, Syntax, UsageError};
use global::Global;
use log::Log;

/// One command.
struct Command {
    syntax: Syntax,
    /// The arguments as the help shows them.
    arguments: &'static str,
    /// One line of help.
    about: &'static str,
    /// The exit code of a failure.
    failed: u8,
    /// A process of the container begins as a copy of this one: it must not be a way to our program
    /// (CVE-2019-5736).
    enters: bool,
    run: fn(&Global, &Matches) -> Outcome,
}

/// All commands, in the order in which the help lists them.
static COMMANDS: &[&Command] = &[
    &create::COMMAND,
    &delete::COMMAND,
    &events::COMMAND,
    &exec::COMMAND,
    &features::COMMAND,
    &kill::COMMAND,
    &list::COMMAND,
    &pause::COMMAND,
    &ps::COMMAND,
    &resume::COMMAND,
    &run::COMMAND,
    &spawner::COMMAND,
    &spec::COMMAND,
    &start::COMMAND,
    &state::COMMAND,
    &update::COMMAND,
];

/// Runs the command line `words` (without the program's own name). Returns the exit code.
pub(super) fn main(mut words: impl Iterator<Item = OsString>) -> u8 {
    let matches = match global::SYNTAX.read(&mut words) {
        Ok(matches) => matches,
        Err(error) => return fail(&Log::default(), &error.into(), 1),
    };
    // Before anything is opened or said: this program then begins again.
    let name = matches.arguments.first().map_or("", String::as_str);
    let protected = match find(name).is_some_and(|command| command.enters) {
        true => longshore_sys::exe::reexec_sealed(),
        false => Ok(()),
    };
    let protected = protected
        .map_err(|source| Failure::System { action: "run from a protected copy of this program", source });
    let global = match Global::new(&matches) {
        Ok(global) => global,
        Err(failure) => return fail(&Log::default(), &failure, 1),
    };
    let code = |outcome, failed| match outcome {
        Ok(code) => code,
        Err(failure) => fail(&global.log, &failure, failed),
    };
    if matches.has("version") {
        return code(print(help::version().as_bytes()), 1);
    }
    let mut words = matches.arguments.into_iter();
    let name = match words.next() {
        Some(name) if !matches.help && !matches!(name.as_str(), "help" | "h") => name,
        None | Some(_) => return code(help(words.next().as_deref()), 1),
    };
    let Some(command) = find(&name) else {
        return fail(&global.log, &UsageError::UnknownCommand { name }.into(), 3);
    };
    match command.syntax.read(&mut words.map(OsString::from)) {
        Ok(matches) if matches.help => code(print(help::command(command).as_bytes()), 1),
        Ok(matches) => code(protected.and_then(|()| (command.run)(&global, &matches)), command.failed),
        Err(error) => fail(&global.log, &error.into(), 1),
    }
}

fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().copied().find(|command| command.syntax.command == name)
}

fn fail(log: &Log, failure: &Failure, code: u8) -> u8 {
    log.error(failure);
    code
}

fn help(topic: Option<&str>) -> Outcome {
    match topic {
        None => print(help::program(COMMANDS).as_bytes()),
        Some(name) => match find(name) {
            Some(command) => print(help::command(command).as_bytes()),
            None => Err(UsageError::UnknownCommand { name: name.into() }.into()),
        },
    }
}

/// Writes all of `text` to stdout.
fn print(text: &[u8]) -> Outcome {
    let mut stdout = std::io::stdout();
    stdout.write_all(text).and_then(|()| stdout.flush()).map_err(|source| Failure::Output { source })?;
    Ok(0)
}

/// Writes `value` to stdout as JSON in one line.
fn print_json(value: &impl serde::Serialize) -> Outcome {
    let mut text = serde_json::to_vec(value).map_err(|error| Failure::Output { source: error.into() })?;
    text.push(b'\n');
    print(&text)
}
