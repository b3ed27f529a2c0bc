//! Escape attempts, each in a process of its own: one may be killed, or change that process.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use testkit::errno;

/// Makes the named attempts, or all of them. Answers `ok`, an errno's name or `signal N`.
pub(crate) fn try_each(names: &[&str]) -> BTreeMap<String, String> {
    let all = longshore_sys::attempt::all().map(|attempt| attempt.name);
    let chosen = all.filter(|name| names.is_empty() || names.contains(name));
    chosen.map(|name| (name.to_owned(), in_child(name))).collect()
}

fn in_child(name: &str) -> String {
    let output = match Command::new("/proc/self/exe").args(["attempt", name]).output() {
        Ok(output) => output,
        Err(error) => return format!("not run: {error}"),
    };
    match output.status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => String::from_utf8_lossy(&output.stdout).trim().trim_matches('"').to_owned(),
    }
}

/// Makes one attempt here.
pub(crate) fn make(name: &str) -> String {
    let found = longshore_sys::attempt::all().find(|attempt| attempt.name == name);
    found.map_or_else(|| "unknown attempt".to_owned(), |attempt| errno::word(attempt.run()))
}

/// The number that one attempt gives, as far as it is not refused.
pub(crate) fn result(name: &str) -> Option<i64> {
    longshore_sys::attempt::all().find(|attempt| attempt.name == name)?.run().ok()
}

/// Leaves `count` zombies behind: children that nobody waits for. Says how many there were.
pub(crate) fn fork_flood(count: &str) -> usize {
    let count = count.parse().unwrap_or(0);
    let child = || Command::new("/proc/self/exe").args(["say", ""]).stdout(Stdio::null()).spawn();
    (0..count).filter(|_| child().is_ok()).count()
}
