//! Descriptors of the caller that the container's process gets: those of `--preserve-fds`, and the
//! sockets of systemd's socket activation (`sd_listen_fds(3)`) before them.

use std::fs;

use longshore_runtime::spec::Spec;
use longshore_sys::process::close_inherited;

use super::failure::Failure;

/// How many descriptors from 3 on the process gets, `preserve_fds` of them by the flag of that name.
/// Tells the process of sockets among them, as `sd_listen_fds(3)` has it.
pub(super) fn pass_on(spec: &mut Spec, preserve_fds: u32) -> Result<u32, Failure> {
    let variable = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let listening = sockets(variable("LISTEN_PID"), variable("LISTEN_FDS"), std::process::id());
    if let (Some(process), 1..) = (&mut spec.process, listening) {
        process.env.push(format!("LISTEN_FDS={listening}"));
        process.env.push("LISTEN_PID=1".into());
    }
    let all = listening.saturating_add(preserve_fds);
    keep_only(listening, all)?;
    Ok(all)
}

/// How many sockets are meant for the process `own`.
fn sockets(pid: Option<u32>, count: Option<u32>, own: u32) -> u32 {
    if pid == Some(own) { count.unwrap_or_default() } else { 0 }
}

/// Finds the descriptors that are not there among those from 3 + `from` to 3 + `to`: what is
/// opened later would take their numbers and end up in the container.
fn check_open(from: u32, to: u32) -> Result<(), Failure> {
    /// `O_CLOEXEC` as `/proc` shows it; a descriptor with it was not passed to us.
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    for number in from..to {
        let fd = number.saturating_add(3);
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        if flags.is_none_or(|flags| flags & CLOSE_ON_EXEC != 0) {
            return Err(Failure::PreservedDescriptor { fd, count: to - from });
        }
    }
    Ok(())
}

/// [`check_open`] for all `count` from 3 on, and closes what else was inherited: a container that waits
/// for `start` would hold what the caller forgot to close.
pub(super) fn keep_only(from: u32, count: u32) -> Result<(), Failure> {
    check_open(from, count)?;
    close_inherited(count.saturating_add(3))
        .map_err(|source| Failure::System { action: "close inherited descriptors", source })
}

#[cfg(test)]
mod tests {
    use super::{check_open, sockets};

    #[test]
    fn sockets_are_counted_for_this_process_alone() {
        assert_eq!(sockets(Some(7), Some(2), 7), 2);
        assert_eq!(sockets(Some(8), Some(2), 7), 0);
        assert_eq!(sockets(None, Some(2), 7), 0);
        assert_eq!(sockets(Some(7), None, 7), 0);
    }

    #[test]
    fn a_descriptor_that_was_not_passed_is_named() {
        check_open(0, 0).unwrap();
        let error = check_open(100_000, 100_002).unwrap_err();
        assert_eq!(error.to_string(), "preserved descriptor 100003 (of 2) is not open");
    }
}
