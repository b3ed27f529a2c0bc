//! The process in between, for containers whose init cannot be cloned by its maker directly.
//!
//! A PID namespace is entered by children only, the rights to other namespaces may come from a joined
//! user namespace, and clock offsets are written before the first process enters a time namespace.
//! So a short-lived process joins and prepares, clones the init as its *sibling* (`CLONE_PARENT`), and
//! tells the init's number, which it sees with the maker's eyes: its own PID namespace is the maker's.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use longshore_sys::{
    clone::{Cloned, clone3, flags},
    namespace, pidfd,
    process::exit_now,
};
use rustix::{
    pipe::PipeFlags,
    process::{WaitId, WaitIdOptions, waitid},
};

use crate::{
    init::{self, At, Birth, Channel, FromInit, Step, StepError},
    plan::Plan,
    spec::NamespaceKind,
};

/// Whether the init of `plan` has to be made this way.
pub(super) fn is_needed(plan: &Plan) -> bool {
    let namespaces = &plan.namespaces;
    let new_user_among_joined = namespaces.makes(NamespaceKind::User) && !namespaces.join.is_empty();
    namespaces.joins(NamespaceKind::User)
        || namespaces.joins(NamespaceKind::Pid)
        || namespaces.joins(NamespaceKind::Time)
        || new_user_among_joined
        || (!namespaces.time_offsets.is_empty() && !init::makes_clocks(plan))
}

/// Clones the init through a stage. Returns in the maker alone.
pub(super) fn clone(
    plan: &Plan,
    new: u64,
    join: &[(NamespaceKind, OwnedFd)],
    cgroup: Option<BorrowedFd<'_>>,
    birth: Birth<'_>,
    maker: Channel,
) -> Result<(i32, OwnedFd, Channel), StepError> {
    through(
        birth,
        maker,
        |_| prepare(plan, new, join, cgroup),
        |birth| &birth.channel,
        |birth| init::run(birth),
    )
}

/// Runs `prepare` in a stage, whose clone runs `child` with `context`, and returns the clone's number
/// and descriptor in the caller. A failure of `prepare` comes back over the `channel` of the context, whose
/// other end is `maker`; the caller alone keeps that, and gets it back.
pub(crate) fn through<C>(
    context: C,
    maker: Channel,
    prepare: impl FnOnce(&C) -> Result<Cloned, StepError>,
    channel: impl Fn(&C) -> &Channel,
    child: fn(C) -> !,
) -> Result<(i32, OwnedFd, Channel), StepError> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).at(Step::Clone)?;
    match clone3(0, None).at(Step::Clone)? {
        Cloned::Child => {
            drop((reader, maker));
            match prepare(&context) {
                Ok(Cloned::Child) => {
                    drop(writer);
                    child(context)
                }
                Ok(Cloned::Parent { pid, .. }) => {
                    let told = rustix::io::write(&writer, &pid.to_ne_bytes());
                    exit_now(i32::from(told.is_err()))
                }
                Err(error) => {
                    channel(&context).send_failure(&error);
                    exit_now(1)
                }
            }
        }
        Cloned::Parent { pidfd: stage, .. } => {
            drop(writer);
            // With it goes the caller's copy of the init's end of the channel.
            drop(context);
            let mut number = [0u8; 4];
            let told = rustix::io::read(&reader, &mut number);
            waitid(WaitId::PidFd(stage.as_fd()), WaitIdOptions::EXITED).at(Step::Clone)?;
            match told.at(Step::Clone)? {
                4 => {
                    let pid = i32::from_ne_bytes(number);
                    // It is a child of this process and not waited for, so the number is still its own.
                    Ok((pid, pidfd::open(pid).at(Step::Clone)?, maker))
                }
                _ => {
                    let said = maker.receive::<FromInit>().ok().flatten();
                    let failure = said.and_then(|(message, _)| message.into_error());
                    let silent = || io::Error::other("the process in between ended without a word");
                    match failure {
                        Some(failure) => Err(failure),
                        None => Err(silent()).at(Step::Clone),
                    }
                }
            }
        }
    }
}

fn prepare(
    plan: &Plan,
    new: u64,
    join: &[(NamespaceKind, OwnedFd)],
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<Cloned, StepError> {
    for (kind, fd) in join {
        namespace::join(fd.as_fd(), kind.flag()).on(Step::Namespace, format_args!("{kind:?}"))?;
    }
    let mut new = new;
    if !plan.namespaces.time_offsets.is_empty() && !init::makes_clocks(plan) {
        namespace::unshare(flags::NEWTIME).on(Step::Namespace, "Time")?;
        fs::write("/proc/self/timens_offsets", &plan.namespaces.time_offsets)
            .on(Step::Namespace, "linux.timeOffsets")?;
        new &= !flags::NEWTIME;
    }
    clone3(new | flags::PARENT, cgroup).at(Step::Clone)
}
