//! The meaning of a profile, told rule by rule.

use std::collections::BTreeSet;

use super::{ENOSYS, KILL_PROCESS};
use crate::{
    seccomp::{
        action,
        arch::{Arch, X32_BIT},
        table::{self, ENTRIES},
    },
    spec::{Arg, Seccomp, SyscallRule},
};

/// The actions that a call may get: one, or several where rules with conditions contradict each
/// other. For profiles without calls that 32-bit x86 multiplexes.
pub(super) fn evaluate(
    profile: &Seccomp,
    native: Arch,
    audit: u32,
    number: u32,
    args: [u64; 6],
) -> BTreeSet<u32> {
    let default = value(&profile.default_action, profile.default_errno_ret);
    let Some(arch) = arch_of(profile, native, audit, number) else {
        let skipped = audit == Arch::X86_64.audit() && number == u32::MAX && native == Arch::X86_64;
        return BTreeSet::from([if skipped { default } else { KILL_PROCESS }]);
    };
    let number = if arch == Arch::X32 { number & !X32_BIT } else { number };
    let named = |rule: &SyscallRule| rule.names.iter().any(|name| number_of(name, arch) == Some(number));
    let mut matching = BTreeSet::new();
    let mut ruled = false;
    for rule in profile.syscalls.iter().filter(|rule| named(rule)) {
        let action = value(&rule.action, rule.errno_ret);
        if action == default {
            continue;
        }
        ruled = true;
        if unconditional(rule, arch) {
            return BTreeSet::from([action]);
        }
        if holds(rule, arch, args) {
            matching.insert(action);
        }
    }
    if !matching.is_empty() {
        return matching;
    }
    let names = profile.syscalls.iter().flat_map(|rule| &rule.names);
    let last = names.filter_map(|name| number_of(name, arch)).filter(|&number| number < 0xf0000).max();
    let newer = last.is_some_and(|last| number > last) && !ruled && !action::is_permissive(default);
    BTreeSet::from([if newer { ENOSYS } else { default }])
}

/// The listed architecture that a call belongs to, of those that the machine has.
fn arch_of(profile: &Seccomp, native: Arch, audit: u32, number: u32) -> Option<Arch> {
    let listed = |arch: Arch| {
        let name = format!("SCMP_ARCH_{}", format!("{arch:?}").to_uppercase());
        let arm = |arch| matches!(arch, Arch::Aarch64 | Arch::Arm);
        arch == native || arm(arch) == arm(native) && profile.architectures.contains(&name)
    };
    let x32 = audit == Arch::X86_64.audit() && number >= X32_BIT;
    Arch::ALL.into_iter().find(|&arch| arch.audit() == audit && (arch == Arch::X32) == x32 && listed(arch))
}

fn number_of(name: &str, arch: Arch) -> Option<u32> {
    ENTRIES[table::find(name)?].number(arch)
}

fn value(action: &str, errno: Option<u32>) -> u32 {
    let errno = errno.unwrap_or(1);
    match action {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 + errno,
        "SCMP_ACT_NOTIFY" => 0x7fc0_0000,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 + errno,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_ALLOW" => 0x7fff_0000,
        other => panic!("{other}"),
    }
}

fn repeats(rule: &SyscallRule) -> bool {
    let indices: BTreeSet<u32> = rule.args.iter().map(|arg| arg.index).collect();
    indices.len() < rule.args.len()
}

fn unconditional(rule: &SyscallRule, arch: Arch) -> bool {
    let nothing = |arg: &Arg| {
        let mask = if arch.narrow() { arg.value & 0xffff_ffff } else { arg.value };
        arg.op == "SCMP_CMP_MASKED_EQ" && mask == 0
    };
    if repeats(rule) { rule.args.iter().any(nothing) } else { rule.args.iter().all(nothing) }
}

fn holds(rule: &SyscallRule, arch: Arch, args: [u64; 6]) -> bool {
    let holds = |arg: &Arg| {
        let narrow = |value: u64| if arch.narrow() { value & 0xffff_ffff } else { value };
        let actual = narrow(args[arg.index as usize]);
        let value = narrow(arg.value);
        match arg.op.as_str() {
            "SCMP_CMP_NE" => actual != value,
            "SCMP_CMP_LT" => actual < value,
            "SCMP_CMP_LE" => actual <= value,
            "SCMP_CMP_EQ" => actual == value,
            "SCMP_CMP_GE" => actual >= value,
            "SCMP_CMP_GT" => actual > value,
            "SCMP_CMP_MASKED_EQ" => actual & value == value & narrow(arg.value_two),
            other => panic!("{other}"),
        }
    };
    if repeats(rule) { rule.args.iter().any(holds) } else { rule.args.iter().all(holds) }
}
