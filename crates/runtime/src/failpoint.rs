//! Places where a test can stop the process: `failpoint::step("cgroup.create")`.
//!
//! With the cargo feature `failpoints`, the environment variable `LONGSHORE_FAILPOINT` says what
//! happens. `kill@N` kills the process with SIGKILL at its N-th step (from 1, counted per process
//! and inherited by forks at their current count), `error@N` makes that step fail, and `NAME=kill`
//! or `NAME=error` does so at the named step. With `LONGSHORE_FAILPOINT_LOG` naming a file, each
//! step appends its name there. Without the feature all of this is nothing.
//!
//! A step is one of `longshore_sys::failpoint` too, which stops a process while it runs.

use std::io;

/// Marks a step. Fails or dies here when the test asked for it.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn step(_name: &'static str) -> io::Result<()> {
    Ok(())
}

/// Marks a step. Fails or dies here when the test asked for it.
#[cfg(feature = "failpoints")]
pub fn step(name: &'static str) -> io::Result<()> {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static STEPS: AtomicUsize = AtomicUsize::new(0);

    longshore_sys::failpoint::step(name)?;
    let Some(plan) = wanted("LONGSHORE_FAILPOINT") else { return Ok(()) };
    let count = STEPS.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(path) = wanted("LONGSHORE_FAILPOINT_LOG") {
        let mut log = std::fs::File::options().append(true).create(true).open(path)?;
        writeln!(log, "{count} {} {name}", std::process::id())?;
    }
    let action = match plan.split_once(['@', '=']) {
        Some((action, at)) if at.parse() == Ok(count) => action,
        Some((at, action)) if at == name => action,
        _ => return Ok(()),
    };
    match action {
        "error" => Err(io::Error::other(format!("failpoint {name}"))),
        _ => {
            let myself = rustix::process::getpid();
            rustix::process::kill_process(myself, rustix::process::Signal::KILL)?;
            Ok(())
        }
    }
}

#[cfg(feature = "failpoints")]
fn wanted(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
