//! Actions and flags: their names in a profile, their values for the kernel.

use super::SeccompError;

pub(super) const KILL_PROCESS: u32 = 0x8000_0000;
pub(super) const ALLOW: u32 = 0x7fff_0000;
pub(super) const NOTIFY: u32 = 0x7fc0_0000;
/// `ERRNO` with `ENOSYS`.
pub(super) const ENOSYS: u32 = ERRNO | 38;

const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;

const EPERM: u32 = 1;

/// Whether `errno` was given to an action that has none, and so is not used.
pub(super) struct UnusedErrno(pub(super) bool);

/// The kernel's value for the action `name`, `errno` within it (`EPERM` where the profile has none).
///
/// The runtime spec wants an error for an errno that the action cannot return; runc ignores it and
/// such profiles work there, so the caller gets to warn.
pub(super) fn parse(
    name: &str,
    errno: Option<u32>,
    field: &dyn Fn() -> String,
) -> Result<(u32, UnusedErrno), SeccompError> {
    let action = match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => KILL_PROCESS,
        "SCMP_ACT_TRAP" => TRAP,
        "SCMP_ACT_ERRNO" => ERRNO,
        "SCMP_ACT_TRACE" => TRACE,
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_LOG" => LOG,
        "SCMP_ACT_NOTIFY" => NOTIFY,
        _ => return Err(SeccompError::UnknownAction { field: field(), action: name.into() }),
    };
    if !matches!(action, ERRNO | TRACE) {
        return Ok((action, UnusedErrno(errno.is_some())));
    }
    let value = errno.unwrap_or(EPERM);
    if value > 0xffff {
        return Err(SeccompError::BadErrno { field: field(), value });
    }
    Ok((action | value, UnusedErrno(false)))
}

/// Whether `action` lets the call happen, maybe seen by a tracer or the log.
pub(super) fn is_permissive(action: u32) -> bool {
    matches!(action & 0xffff_0000, ALLOW | LOG | TRACE)
}

const FLAG_LOG: u32 = 1 << 1;
const FLAG_SPEC_ALLOW: u32 = 1 << 2;
const FLAG_NEW_LISTENER: u32 = 1 << 3;
const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// The kernel's `SECCOMP_FILTER_FLAG_*` for a profile's flags.
///
/// Without a list (an empty one is a list) it is `SPEC_ALLOW`, as in runc: on kernels before 5.16
/// a filter would else turn off speculative store bypass. `TSYNC` has no effect: the filter is
/// installed while there is one thread.
pub(super) fn flags(names: Option<&[String]>, notifies: bool) -> Result<u32, SeccompError> {
    let mut flags = if notifies { FLAG_NEW_LISTENER } else { 0 };
    let Some(names) = names else { return Ok(flags | FLAG_SPEC_ALLOW) };
    for (index, name) in names.iter().enumerate() {
        flags |= match name.as_str() {
            "SECCOMP_FILTER_FLAG_TSYNC" => 0,
            "SECCOMP_FILTER_FLAG_LOG" => FLAG_LOG,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => FLAG_SPEC_ALLOW,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" if notifies => FLAG_WAIT_KILLABLE_RECV,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => return Err(SeccompError::WaitKillableWithoutNotify),
            _ => return Err(SeccompError::UnknownFlag { index, name: name.clone() }),
        };
    }
    Ok(flags)
}
