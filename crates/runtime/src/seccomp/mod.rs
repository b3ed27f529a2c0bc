//! Seccomp profiles, compiled to the kernel's classic BPF. Pure: installing is `sys`'s part.
//!
//! The program first tells the architecture, then finds the number in a balanced *tree of ranges*:
//! the kernel runs a filter once for each of some 450 numbers when it is installed, and a list of
//! comparisons costs ten times the tree.
//!
//! What a profile means is what runc with libseccomp makes of it:
//! * The first unconditional rule for a call wins over all others for it. Of rules with conditions
//!   any that matches decides; where several with different actions match, the order is that of
//!   libseccomp, not of the profile (`condition.rs`). The same condition with two actions is an error.
//! * A rule with the default action does nothing. It does not shield a call from other rules.
//! * Conditions of one rule must all hold; where two are on one argument, either may.
//! * The native architecture is always covered. Calls of one that is not listed kill the process;
//!   so do x32 numbers where x32 is not listed.
//! * Arguments of 32-bit architectures and of x32 are compared in their low 32 bits.
//! * Numbers above the largest one in the profile get `ENOSYS`, unless the default lets them through.
//! * Unknown names are skipped with a warning; all other unknown words are errors.
//!
//! Deviations, each on the safe side: calls of a bad architecture kill the process, not the thread
//! (`generate.rs`), and on 32-bit x86 a rule with conditions for a call that `socketcall(2)` or
//! `ipc(2)` also reach never allows it there (`rules.rs`).
//!
//! No filter can follow the pointer that `socketcall` takes. A profile that allows it without
//! conditions, as Docker's does, lets 32-bit programs open sockets of families that its rules for
//! `socket` refuse (`AF_ALG`, CVE-2026-31431). To close that, leave `socketcall` out of the profile:
//! its parts follow the rules of the calls they stand for, and creating a socket, whose rules have
//! conditions, is refused. 32-bit programs with a libc that never calls `socket(2)` (glibc before
//! its minimum became Linux 4.3) then have no network, hence it is the profile's choice.

mod action;
mod arch;
mod assembler;
mod condition;
mod error;
mod generate;
mod rules;
mod table;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::spec;

pub use error::SeccompError;

/// The most instructions that the kernel takes (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// The actions that a profile may name.
pub const ACTIONS: &[&str] = &[
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

/// The operators of argument conditions.
pub const OPERATORS: &[&str] = &[
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// The architectures with a table of calls. Others that libseccomp knows are accepted and have no
/// effect, for no machine this runs on has them.
pub const ARCHITECTURES: &[&str] =
    &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"];

/// The flags of the filter.
pub const FLAGS: &[&str] = &[
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// One instruction of classic BPF, the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insn {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// A compiled profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Empty where the profile asks for no filter.
    pub program: Vec<Insn>,
    /// `SECCOMP_FILTER_FLAG_*`, with `NEW_LISTENER` exactly where there is a `listener`.
    pub flags: u32,
    pub listener: Option<Listener>,
    /// What the profile says that had no effect, a sentence each.
    pub warnings: Vec<String>,
}

/// The agent that decides about `SCMP_ACT_NOTIFY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// A unix stream socket that gets the container's state and the notification descriptor.
    pub path: String,
    /// Passed on to the agent as it is.
    pub metadata: String,
}

/// Compiles `profile` for the architecture that this program was built for; `None` for an empty one,
/// which runc takes for "no seccomp".
pub fn compile(profile: &spec::Seccomp) -> Result<Option<Filter>, SeccompError> {
    compile_for(profile, arch::Arch::NATIVE)
}

fn compile_for(profile: &spec::Seccomp, native: arch::Arch) -> Result<Option<Filter>, SeccompError> {
    if profile.default_action.is_empty() && profile.syscalls.is_empty() {
        return Ok(None);
    }
    let archs = arch::Arch::select(&profile.architectures, native)?;
    let rules = rules::Rules::read(profile)?;
    let flags = action::flags(profile.flags.as_deref(), rules.notifies)?;
    let listener = match profile.listener_path.as_str() {
        _ if !rules.notifies => None,
        "" => return Err(SeccompError::NoListenerPath),
        path => Some(Listener { path: path.into(), metadata: profile.listener_metadata.clone() }),
    };
    let program = generate::program(&rules, &archs)?;
    Ok(Some(Filter { program, flags, listener, warnings: rules.warnings }))
}
