//! Places where a test can stop a daemon while it works: `failpoint::step("container.create.row")?`.
//!
//! With the cargo feature `failpoints`, `LONGSHORE_FAILPOINT_ARMED` names a file. While that file is there and says
//! `kill PID N`, the process PID is killed at its N-th step from then on; `error PID N` makes that step fail, `panic PID N` has
//! it panic. The name
//! of each step that was counted is added to the file of the same name with `.steps`. So a test prepares what it likes,
//! arms one operation, and looks at what is left of it. Whoever holds a lock on the file for itself knows that no step
//! is being decided. Without the feature all of this is nothing.
//!
//! The steps of `longshore_runtime::failpoint` and of the store are steps here too.

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
    use std::{
        fs,
        io::{Read, Write},
        path::PathBuf,
        sync::{Mutex, OnceLock, PoisonError},
    };

    static PLACE: OnceLock<Option<PathBuf>> = OnceLock::new();
    /// What the file said last, and how many steps there were since.
    static COUNTED: Mutex<(String, u32)> = Mutex::new((String::new(), 0));

    let place = PLACE.get_or_init(|| {
        let named = std::env::var_os("LONGSHORE_FAILPOINT_ARMED");
        named.filter(|name| !name.is_empty()).map(PathBuf::from)
    });
    let Some(place) = place else { return Ok(()) };
    let Ok(mut file) = fs::File::open(place) else { return Ok(()) };
    file.lock_shared()?;
    // Disarmed while this waited?
    if !place.exists() {
        return Ok(());
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let mut words = text.split_whitespace();
    let (action, pid, at) = (words.next(), words.next(), words.next());
    if pid.and_then(|pid| pid.parse().ok()) != Some(std::process::id()) {
        return Ok(());
    }
    let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    if counted.0 != text {
        *counted = (text.clone(), 0);
    }
    counted.1 += 1;
    let is_it = at.and_then(|at| at.parse().ok()) == Some(counted.1);
    let mut steps = fs::File::options().append(true).create(true).open(place.with_extension("steps"))?;
    writeln!(steps, "{name}")?;
    match action {
        Some("kill") if is_it => {
            let myself = rustix::process::getpid();
            Ok(rustix::process::kill_process(myself, rustix::process::Signal::KILL)?)
        }
        Some("panic") if is_it => panic!("failpoint {name}"),
        Some("error") if is_it => Err(io::Error::other(format!("failpoint {name}"))),
        _ => Ok(()),
    }
}
