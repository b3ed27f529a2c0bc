//! Random profiles and calls: the program and the reference agree.

use proptest::{prelude::*, sample::select};

use super::{Compiled, interpreter, reference};
use crate::{
    seccomp::{
        ACTIONS, OPERATORS, SeccompError,
        arch::Arch,
        compile_for,
        table::{self, ENTRIES},
    },
    spec::{Arg, Seccomp, SyscallRule},
};

/// Names that are not multiplexed, most of them neighbours, some far apart.
fn names() -> impl Strategy<Value = String> {
    let all: Vec<&str> =
        ENTRIES.iter().filter(|entry| entry.multiplexed.is_none()).map(|entry| entry.name).collect();
    let few: Vec<&str> = all
        .iter()
        .copied()
        .filter(|name| ["clone", "clone3", "mseal", "ioctl", "execve", "brk"].contains(name))
        .collect();
    prop_oneof![select(all), select(few)].prop_filter("write", |name| *name != "write").prop_map(String::from)
}

fn values() -> impl Strategy<Value = u64> {
    let high = select(vec![0, 1, 0x7e02, u64::from(u32::MAX)]);
    let low = prop_oneof![select(vec![0, 1, 2, 38, 39, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff]), 0..6_u64];
    (high, low).prop_map(|(high, low)| high << 32 | low)
}

prop_compose! {
    fn args()(index in 0..6_u32, value in values(), value_two in values(), op in select(OPERATORS)) -> Arg {
        Arg { index, value, value_two, op: op.into() }
    }
}

prop_compose! {
    fn rules()(
        names in prop::collection::vec(names(), 1..12),
        action in select(ACTIONS),
        errno_ret in prop::option::of(select(vec![0, 1, 38, 4095])),
        args in prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(args(), 1..4)],
    ) -> SyscallRule {
        let errno_ret = errno_ret.filter(|_| matches!(action, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRACE"));
        SyscallRule { names, action: action.into(), errno_ret, args }
    }
}

prop_compose! {
    fn profiles()(
        default in select(ACTIONS).prop_filter("default", |action| *action != "SCMP_ACT_NOTIFY"),
        default_errno_ret in prop::option::of(select(vec![1, 38])),
        architectures in prop::collection::vec(
            select(vec!["X86_64", "X86", "X32", "AARCH64", "ARM", "S390X"]), 0..5),
        syscalls in prop::collection::vec(rules(), 0..24),
    ) -> Seccomp {
        Seccomp {
            default_action: default.into(),
            default_errno_ret: default_errno_ret.filter(|_| default == "SCMP_ACT_ERRNO"),
            architectures: architectures.iter().map(|arch| format!("SCMP_ARCH_{arch}")).collect(),
            listener_path: "/run/agent.sock".into(),
            syscalls,
            ..Seccomp::default()
        }
    }
}

/// Numbers where something may change, as numbers of `arch`.
fn numbers(profile: &Seccomp, arch: Arch) -> Vec<u32> {
    let named = profile.syscalls.iter().flat_map(|rule| &rule.names);
    let mut numbers: Vec<u32> = named
        .filter(|name| ENTRIES[table::find(name).unwrap()].number(arch).is_some())
        .map(|name| super::number(arch, name))
        .flat_map(|number| [number.wrapping_sub(1), number, number + 1])
        .collect();
    numbers.extend([0, 335, 600, 0x3fff_ffff, 0x4000_0000, 0x4000_0220, 0x8000_0000, u32::MAX]);
    numbers
}

/// Arguments on both sides of each comparison.
fn interesting(profile: &Seccomp) -> Vec<u64> {
    let args = profile.syscalls.iter().flat_map(|rule| &rule.args);
    let mut values: Vec<u64> = args
        .flat_map(|arg| [arg.value.wrapping_sub(1), arg.value, arg.value.wrapping_add(1), arg.value_two])
        .collect();
    values.extend([0, u64::MAX]);
    values
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_reference(
        profile in profiles(),
        native in select(vec![Arch::X86_64, Arch::Aarch64]),
        picks in prop::collection::vec(prop::array::uniform6(any::<prop::sample::Index>()), 6),
    ) {
        let filter = match compile_for(&profile, native) {
            Err(SeccompError::ConflictingActions { .. }) => return Ok(()),
            filter => filter.unwrap().unwrap(),
        };
        interpreter::check(&filter.program);
        let compiled = Compiled(filter.program);
        let values = interesting(&profile);
        for arch in Arch::ALL {
            for number in numbers(&profile, arch) {
                for pick in &picks {
                    let args = pick.map(|index| *index.get(&values));
                    let expected = reference::evaluate(&profile, native, arch.audit(), number, args);
                    let actual = compiled.raw(arch.audit(), number, args);
                    prop_assert!(
                        expected.contains(&actual),
                        "{arch:?} {number} {args:x?}: {actual:#x}, not {expected:x?}",
                    );
                }
            }
        }
        prop_assert_eq!(compiled.raw(0x8000_0016, 0, [0; 6]), super::KILL_PROCESS);
    }
}
