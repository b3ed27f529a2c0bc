//! Who the process is and what it may do: the last changes before exec.

use std::{ffi::CString, io};

use longshore_sys::{capability, process, sched};
use rustix::io::Errno;

use super::{At, Step, StepError};
use crate::plan::{CAPABILITIES, CapabilityMasks, ProcessPlan};

/// More than any kernel of today is built for; what is not there counts for nothing.
const MAX_PROCESSORS: usize = 8192;

/// Sets limits, scheduling and the like, which need the runtime's own privileges.
pub(super) fn set_attributes(plan: &ProcessPlan) -> Result<(), StepError> {
    for limit in &plan.rlimits {
        process::set_limit(limit.resource, limit.soft, limit.hard)
            .map_err(explain_limit)
            .on(Step::Rlimit, format_args!("{} to {}:{}", limit.name, limit.soft, limit.hard))?;
    }
    if let Some(scheduler) = plan.scheduler {
        let policy = sched::Policy {
            policy: scheduler.policy,
            flags: scheduler.flags,
            nice: scheduler.nice,
            priority: scheduler.priority,
            runtime: scheduler.runtime,
            deadline: scheduler.deadline,
            period: scheduler.period,
        };
        sched::set_policy(policy).at(Step::Scheduler)?;
    }
    if let Some((class, level)) = plan.io_priority {
        sched::set_io_priority(class, level).on(Step::Scheduler, "process.ioPriority")?;
    }
    if let Some(personality) = plan.personality {
        process::set_personality(personality).at(Step::Personality)?;
    }
    if let Some(policy) = &plan.memory_policy {
        sched::set_memory_policy(policy.mode, &policy.nodes).at(Step::MemoryPolicy)?;
    }
    let (initial, last) = &plan.affinity;
    if !last.is_empty() {
        sched::set_affinity(last).at(Step::Affinity)?;
    } else if initial.is_empty() {
        // The processors that somebody kept the runtime to are not the container's matter: its cpuset is (runc's rule).
        sched::set_affinity(&[u64::MAX; MAX_PROCESSORS / 64]).ok();
    }
    Ok(())
}

fn explain_limit(error: io::Error) -> io::Error {
    match Errno::from_io_error(&error) {
        Some(Errno::PERM) => io::Error::other(
            "operation not permitted: raising a hard limit needs CAP_SYS_RESOURCE, which this host does not give",
        ),
        _ => error,
    }
}

/// Becomes the plan's user, keeping what the runtime may do until [`limit_capabilities`].
pub(super) fn become_user(plan: &ProcessPlan, allow_groups: bool) -> Result<(), StepError> {
    if let Some(masks) = &plan.capabilities {
        drop_bounding(masks.bounding)?;
    }
    capability::keep_over_setuid(true).at(Step::Capabilities)?;
    // The primary group is among the supplementary ones, or its absence there would give rights
    // that a file's mode denies the group (CVE-2022-36109): that list is the engine's to make.
    if allow_groups {
        process::set_groups(&plan.additional_gids).at(Step::Groups)?;
    } else if !plan.additional_gids.is_empty() {
        return Err(Errno::PERM).on(Step::Groups, "setgroups is denied in this user namespace");
    }
    process::set_gid(plan.gid).on(Step::User, format_args!("gid {}", plan.gid))?;
    process::set_uid(plan.uid).on(Step::User, format_args!("uid {}", plan.uid))?;
    capability::keep_over_setuid(false).at(Step::Capabilities)?;
    // A change from user 0 emptied the effective set; the filter and the final sets still need it.
    let mut sets = capability::get().at(Step::Capabilities)?;
    sets.effective = sets.permitted;
    capability::set(sets).at(Step::Capabilities)
}

fn drop_bounding(keep: u64) -> Result<(), StepError> {
    for number in 0..64u32 {
        if keep & 1 << number != 0 {
            continue;
        }
        match capability::drop_bounding(number) {
            Ok(()) => {}
            // Past the last one that this kernel knows.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => break,
            Err(error) => {
                let name =
                    usize::try_from(number).ok().and_then(|n| CAPABILITIES.get(n)).unwrap_or(&"unknown");
                return Err(error).on(Step::Capabilities, format_args!("bounding without {name}"));
            }
        }
    }
    Ok(())
}

/// Sets the final capability sets; nothing privileged may follow.
pub(super) fn limit_capabilities(plan: &ProcessPlan) -> Result<(), StepError> {
    let Some(masks) = plan.capabilities else { return drop_if_user(plan) };
    let known = known_capabilities();
    let CapabilityMasks { bounding, effective, inheritable, permitted, ambient } = masks;
    let sets = capability::Sets {
        effective: effective & known,
        permitted: permitted & known,
        inheritable: inheritable & known,
    };
    capability::set(sets).map_err(|error| explain_sets(error, sets, bounding)).at(Step::Capabilities)?;
    capability::clear_ambient().at(Step::Capabilities)?;
    for number in (0..64).filter(|number| ambient & known & 1 << number != 0) {
        let name = usize::try_from(number).ok().and_then(|n| CAPABILITIES.get(n)).unwrap_or(&"unknown");
        // The kernel takes only what is both permitted and inheritable; the specification leaves
        // the consequence to the runtime, and runc says so and goes on.
        match capability::raise_ambient(number) {
            Ok(()) => {}
            Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {}
            Err(error) => return Err(error).on(Step::Capabilities, format_args!("ambient {name}")),
        }
    }
    Ok(())
}

/// Says which of the rules of capabilities(7) the sets break.
fn explain_sets(error: io::Error, sets: capability::Sets, bounding: u64) -> io::Error {
    let why = if sets.inheritable & !bounding != 0 {
        "process.capabilities.inheritable is not within bounding"
    } else if sets.effective & !sets.permitted != 0 {
        "process.capabilities.effective is not within permitted"
    } else {
        "the runtime itself does not have them all"
    };
    io::Error::other(format!("{why} ({error})"))
}

/// Without capabilities in the spec, user 0 keeps the runtime's and any other user has none.
fn drop_if_user(plan: &ProcessPlan) -> Result<(), StepError> {
    if plan.uid == 0 { Ok(()) } else { capability::set(capability::Sets::default()).at(Step::Capabilities) }
}

/// The capabilities that the kernel knows, as a mask: its own largest bounding set.
fn known_capabilities() -> u64 {
    (0..64u32).take_while(|number| capability::has_bounding(*number).is_ok()).fold(0, |mask, n| mask | 1 << n)
}

/// The environment with `HOME` from the container's `/etc/passwd` where the spec gives none, or an empty
/// one.
pub(super) fn environment(plan: &ProcessPlan) -> Vec<CString> {
    let mut env = plan.env.clone();
    env.retain(|pair| pair.as_bytes() != b"HOME=");
    if !env.iter().any(|pair| pair.as_bytes().starts_with(b"HOME=")) {
        let mut pair = b"HOME=".to_vec();
        pair.extend(super::passwd::home_of(plan.uid).unwrap_or_else(|| b"/".to_vec()));
        env.extend(CString::new(pair).ok());
    }
    env
}

/// Does `work` with the effective capabilities that the process will have, and takes the others back.
pub(super) fn with_final_rights<T>(plan: &ProcessPlan, work: impl FnOnce() -> T) -> Result<T, StepError> {
    let now = capability::get().at(Step::Capabilities)?;
    let wanted = match (&plan.capabilities, plan.uid) {
        (Some(masks), _) => masks.effective,
        (None, 0) => now.effective,
        (None, _) => 0,
    };
    let reduced = capability::Sets { effective: wanted & now.permitted, ..now };
    capability::set(reduced).at(Step::Capabilities)?;
    let done = work();
    capability::set(now).at(Step::Capabilities)?;
    Ok(done)
}
