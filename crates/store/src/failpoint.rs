//! Places where a test can stop the process: `failpoint::step("blob.rename")`.
//!
//! With the cargo feature `failpoints`, `LONGSHORE_STORE_FAILPOINT` says what happens at the process's N-th step
//! (from 1): `kill@N` is SIGKILL, `error@N` fails the step, `full@N` fails it and all after it with `ENOSPC`.
//! `LONGSHORE_STORE_FAILPOINT_LOG` names a file that gets each step's name. Without the feature this is nothing.
//!
//! A step is one of `longshore_sys::failpoint` too, which stops a process while it runs.

use std::io;

/// Marks a step. Fails or dies here when the test asked for it.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it fails")]
pub(crate) fn step(_name: &'static str) -> io::Result<()> {
    Ok(())
}

/// Marks a step. Fails or dies here when the test asked for it.
#[cfg(feature = "failpoints")]
pub(crate) fn step(name: &'static str) -> io::Result<()> {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static STEPS: AtomicUsize = AtomicUsize::new(0);

    longshore_sys::failpoint::step(name)?;
    let wanted = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(plan) = wanted("LONGSHORE_STORE_FAILPOINT") else { return Ok(()) };
    let count = STEPS.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(path) = wanted("LONGSHORE_STORE_FAILPOINT_LOG") {
        let mut log = std::fs::File::options().append(true).create(true).open(path)?;
        writeln!(log, "{count} {name}")?;
    }
    let Some((action, at)) = plan.split_once('@') else { return Ok(()) };
    let at: usize = at.parse().unwrap_or(usize::MAX);
    match action {
        "error" if count == at => Err(io::Error::other(format!("failpoint {name}"))),
        "full" if count >= at => Err(io::Error::from_raw_os_error(28)),
        "kill" if count == at => {
            let myself = rustix::process::getpid();
            rustix::process::kill_process(myself, rustix::process::Signal::KILL)?;
            Ok(())
        }
        _ => Ok(()),
    }
}
