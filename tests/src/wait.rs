//! Waiting for events with a limit.

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Set where the machine is emulated, a hundred times slower.
const SLOW: &str = "LONGSHORE_TEST_SLOW";

/// How long a test waits for something that must happen. A busy machine is slow, not broken.
pub fn patience() -> Duration {
    Duration::from_secs(if std::env::var_os(SLOW).is_some() { 600 } else { 60 })
}

/// How often to do something again: `count` times, or a tenth of it on an emulated machine.
pub fn rounds(count: usize) -> usize {
    if std::env::var_os(SLOW).is_some() { count.div_ceil(10) } else { count }
}

/// How often a race is run: `ROUNDS` of the environment for a soak, else as [`rounds`] has it.
///
/// # Panics
/// If `ROUNDS` is no number.
pub fn race_rounds(count: usize) -> usize {
    let soak = std::env::var("ROUNDS").ok().map(|text| text.parse().expect("ROUNDS: a number"));
    soak.unwrap_or_else(|| rounds(count))
}

/// Waits until `fd` can be read or its peer has gone. False if the limit passed.
pub(crate) fn readable(fd: BorrowedFd<'_>, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("a limit of seconds");
        match rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// A handle of process `pid`, if it exists.
pub(crate) fn handle(pid: i32) -> Option<OwnedFd> {
    rustix::process::pidfd_open(rustix::process::Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

/// Waits until the process ends and collects it if it is ours. True if it ended in time.
pub fn wait_for_exit(process: &OwnedFd, limit: Duration) -> bool {
    readable(process.as_fd(), limit)
}

/// Collects an ended child of this process: the code of its exit, or 128 and its signal.
pub(crate) fn collect(process: &OwnedFd) -> Option<i32> {
    let status: WaitIdStatus =
        rustix::process::waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED).ok()??;
    status.exit_status().or_else(|| Some(128 + status.terminating_signal()?))
}
