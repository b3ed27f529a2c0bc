mod default;
mod interpreter;
mod kernel;
mod meaning;
mod random;
mod reference;
mod words;

use super::{arch::Arch, compile_for};
use crate::spec::{Arg, Seccomp, SyscallRule};

const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const ALLOW: u32 = 0x7fff_0000;
const LOG: u32 = 0x7ffc_0000;
const NOTIFY: u32 = 0x7fc0_0000;
const ENOSYS: u32 = errno(38);
const EPERM: u32 = errno(1);

const fn errno(number: u32) -> u32 {
    0x0005_0000 | number
}

fn profile(default: &str, architectures: &[&str], syscalls: Vec<SyscallRule>) -> Seccomp {
    Seccomp {
        default_action: default.into(),
        architectures: architectures.iter().map(|&arch| arch.into()).collect(),
        syscalls,
        ..Seccomp::default()
    }
}

fn rule(names: &[&str], action: &str, args: &[(u32, &str, u64, u64)]) -> SyscallRule {
    SyscallRule {
        names: names.iter().map(|&name| name.into()).collect(),
        action: action.into(),
        errno_ret: None,
        args: args
            .iter()
            .map(|&(index, op, value, value_two)| Arg { index, value, value_two, op: op.into() })
            .collect(),
    }
}

fn with_errno(mut rule: SyscallRule, errno: u32) -> SyscallRule {
    rule.errno_ret = Some(errno);
    rule
}

/// What a compiled profile answers, for x86-64 or another native architecture.
struct Compiled(Vec<super::Insn>);

impl Compiled {
    fn new(profile: &Seccomp) -> Self {
        Self::native(profile, Arch::X86_64)
    }

    fn native(profile: &Seccomp, native: Arch) -> Self {
        let program = compile_for(profile, native).unwrap().unwrap().program;
        interpreter::check(&program);
        Self(program)
    }

    fn raw(&self, audit: u32, number: u32, args: [u64; 6]) -> u32 {
        interpreter::run(&self.0, &interpreter::Data { number, audit, args })
    }

    /// The action for the call `name` of `arch`.
    fn call(&self, arch: Arch, name: &str, args: &[u64]) -> u32 {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        self.raw(arch.audit(), number(arch, name), all)
    }
}

fn number(arch: Arch, name: &str) -> u32 {
    let entry = &super::table::ENTRIES[super::table::find(name).unwrap()];
    let number = entry.number(arch).unwrap_or_else(|| panic!("{arch:?} has no {name}"));
    if arch == Arch::X32 { number | super::arch::X32_BIT } else { number }
}
