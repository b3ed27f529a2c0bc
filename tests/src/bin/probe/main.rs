//! Runs inside a container and says what it sees. Static, so that it runs in an empty root.
//!
//! `probe` prints a report; the other commands answer one question each. All answers are JSON on
//! standard output.

#![expect(clippy::print_stdout, reason = "the answer goes to standard output")]

mod attempts;
mod look;
mod paths;
mod stalk;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["report"] => print(&look::report()),
        ["try", names @ ..] => print(&attempts::try_each(names)),
        ["attempt", name] => print(&attempts::make(name)),
        ["result", name] => print(&attempts::result(name)),
        ["access", paths @ ..] => print(&paths::access_each(paths)),
        ["writable", paths @ ..] => print(&paths::writable_under(paths)),
        ["descriptors"] => print(&look::descriptors()),
        ["devices"] => print(&paths::usable_devices()),
        ["chroot-escape"] => print(&paths::chroot_escape()),
        ["stalk"] => print(&stalk::until_stopped()),
        ["fork-flood", count] => print(&attempts::fork_flood(count)),
        ["say", text] => println!("{text}"),
        _ => {
            println!(
                "usage: probe [report | try NAME… | access PATH… | writable DIR… | descriptors | devices | stalk]"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn print<T: serde::Serialize>(answer: &T) {
    match serde_json::to_string(answer) {
        Ok(text) => println!("{text}"),
        Err(error) => println!("{{\"error\":\"{error}\"}}"),
    }
}
