//! From a profile to what happens to each number, per architecture.

use crate::spec;

use super::{
    MAX_INSTRUCTIONS, SeccompError, action,
    arch::Arch,
    condition::{Alternative, Condition, Op, Ordered},
    table::{self, ENTRIES, Multiplexed},
};

/// Private calls of ARM start here; they are no sign of how new a profile is.
const ARM_PRIVATE: u32 = 0x000f_0000;

/// How many tests of arguments an architecture may have before equal ones are merged: enough for any
/// program that fits, and a bound for the memory that a hostile profile takes.
const MAX_ALTERNATIVES: usize = 8 * MAX_INSTRUCTIONS;

/// A profile with its words resolved, in its own order.
pub(super) struct Rules {
    pub(super) default: u32,
    rules: Vec<Rule>,
    calls: Vec<Call>,
    pub(super) warnings: Vec<String>,
    /// Whether a rule has `SCMP_ACT_NOTIFY`.
    pub(super) notifies: bool,
}

struct Rule {
    action: u32,
    /// Any of these; unconditional where there is none.
    alternatives: Vec<Vec<Condition>>,
}

/// One name of one rule.
struct Call {
    entry: usize,
    /// Absent where the rule's action is the default, which counts for [`Verdicts::last`] alone.
    rule: Option<usize>,
}

/// What happens to a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Return(u32),
    /// The first that holds decides; the default action where none does.
    Tests(Vec<Alternative>),
}

/// What a profile says about the numbers of one architecture.
pub(super) struct Verdicts {
    /// By number, ascending.
    pub(super) by_number: Vec<(u32, Verdict)>,
    /// The largest number that the profile names.
    pub(super) last: Option<u32>,
}

impl Rules {
    pub(super) fn read(profile: &spec::Seccomp) -> Result<Self, SeccompError> {
        let mut warnings = Vec::new();
        let mut act = |name: &str, errno, field: &dyn Fn() -> String| {
            let (action, unused) = action::parse(name, errno, field)?;
            if unused.0 {
                warnings.push(format!("linux.seccomp.{}: {name} has no errno; ignored", field()));
            }
            Ok(action)
        };
        let default = act(&profile.default_action, profile.default_errno_ret, &|| "defaultAction".into())?;
        if default == action::NOTIFY {
            return Err(SeccompError::NotifyAsDefault);
        }
        let mut rules = Vec::with_capacity(profile.syscalls.len());
        let mut calls = Vec::with_capacity(profile.syscalls.iter().map(|rule| rule.names.len()).sum());
        let mut notifies = false;
        let mut unknown = Vec::new();
        for (index, rule) in profile.syscalls.iter().enumerate() {
            let field = || format!("syscalls[{index}].action");
            let action = act(&rule.action, rule.errno_ret, &field)?;
            let alternatives = alternatives(index, &rule.args)?;
            let used = (action != default).then_some(index);
            for name in &rule.names {
                if name.is_empty() {
                    return Err(SeccompError::EmptyName { rule: index });
                }
                if action == action::NOTIFY && name == "write" {
                    return Err(SeccompError::NotifyForWrite { rule: index });
                }
                notifies |= action == action::NOTIFY;
                match table::find(name) {
                    Some(entry) => calls.push(Call { entry, rule: used }),
                    None => unknown.push(format!(
                        "linux.seccomp.syscalls[{index}].names: unknown system call {name:?} skipped"
                    )),
                }
            }
            rules.push(Rule { action, alternatives });
        }
        warnings.append(&mut unknown);
        Ok(Self { default, rules, calls, warnings, notifies })
    }

    /// What the profile says about the numbers of `arch`.
    pub(super) fn verdicts(&self, arch: Arch) -> Result<Verdicts, SeccompError> {
        let mut last = None;
        let mut used = Vec::with_capacity(self.calls.len());
        let mut multiplexed = Vec::new();
        for (order, call) in self.calls.iter().enumerate() {
            let entry = &ENTRIES[call.entry];
            let number = entry.number(arch);
            last = last.max(number.filter(|&number| number < ARM_PRIVATE));
            if call.rule.is_none() {
                continue;
            }
            if let Some(number) = number {
                used.push((number, order));
            }
            if let Some(part) = entry.multiplexed.filter(|_| arch == Arch::X86) {
                multiplexed.push((part, order));
            }
        }
        used.sort_unstable();
        let mut by_number = Vec::with_capacity(used.len());
        for group in used.chunk_by(|left, right| left.0 == right.0) {
            by_number.push((group[0].0, self.merge(group, arch)?));
        }
        if !multiplexed.is_empty() {
            multiplexed.sort_unstable();
            self.multiplex(&multiplexed, &mut by_number)?;
        }
        let alternatives = by_number.iter().map(|(_, verdict)| match verdict {
            Verdict::Return(_) => 0,
            Verdict::Tests(alternatives) => alternatives.len(),
        });
        if alternatives.sum::<usize>() > MAX_ALTERNATIVES {
            return Err(SeccompError::TooLong);
        }
        Ok(Verdicts { by_number, last })
    }

    /// The verdict of all rules for one call: the first unconditional rule wins over everything,
    /// as in libseccomp, else one alternative after the other.
    fn merge<K>(&self, group: &[(K, usize)], arch: Arch) -> Result<Verdict, SeccompError> {
        let mut tests: Vec<Alternative> = Vec::new();
        for call in group.iter().map(|(_, order)| &self.calls[*order]) {
            let Some(rule) = call.rule else { continue };
            let Rule { action, alternatives } = &self.rules[rule];
            if alternatives.is_empty() {
                return Ok(Verdict::Return(*action));
            }
            for conditions in alternatives {
                let conditions: Vec<Condition> = conditions
                    .iter()
                    .map(|condition| if arch.narrow() { condition.narrowed() } else { *condition })
                    .filter(|condition| !condition.is_always_true())
                    .collect();
                if conditions.is_empty() {
                    return Ok(Verdict::Return(*action));
                }
                tests.push(Alternative { conditions, action: *action });
            }
        }
        if tests.len() > MAX_INSTRUCTIONS {
            return Err(SeccompError::TooLong);
        }
        // In what order rules with one action are tried makes no difference.
        if tests.iter().all(|test| test.action == tests[0].action) {
            return Ok(Verdict::Tests(tests));
        }
        let mut ordered = Ordered::default();
        for test in tests {
            ordered.insert(test, arch.narrow()).map_err(|_| SeccompError::ConflictingActions {
                name: ENTRIES[self.calls[group[0].1].entry].name.into(),
            })?;
        }
        Ok(Verdict::Tests(ordered.into_alternatives()))
    }

    /// Adds what the rules for `socket`, `semget` and so on mean for `socketcall` and `ipc`, which
    /// do the same on 32-bit x86. What the profile says about these two goes first.
    ///
    /// The arguments are in memory there, out of a filter's reach, so of rules with conditions the
    /// first restrictive one holds for all such calls and permissive ones are not carried over.
    /// (libseccomp carries those over without their conditions, which allows what they forbid.)
    fn multiplex(
        &self,
        parts: &[(Multiplexed, usize)],
        by_number: &mut Vec<(u32, Verdict)>,
    ) -> Result<(), SeccompError> {
        for group in parts.chunk_by(|left, right| left.0 == right.0) {
            let action = match self.merge(group, Arch::X86)? {
                Verdict::Return(action) => Some(action),
                Verdict::Tests(tests) => {
                    tests.iter().map(|test| test.action).find(|&action| !action::is_permissive(action))
                }
            };
            let Some(action) = action else { continue };
            let (name, op, mask, value) = match group[0].0 {
                Multiplexed::Socket(value) => ("socketcall", Op::Equal, u32::MAX, value),
                // The high half is a version.
                Multiplexed::Ipc(value) => ("ipc", Op::Masked, 0xffff, value),
            };
            let condition = Condition { index: 0, op, mask: mask.into(), value: value.into() };
            let test = Alternative { conditions: vec![condition], action };
            let Some(number) = table::find(name).and_then(|entry| ENTRIES[entry].number(Arch::X86)) else {
                continue;
            };
            match by_number.binary_search_by_key(&number, |(number, _)| *number) {
                Ok(at) => match &mut by_number[at].1 {
                    Verdict::Return(_) => {}
                    Verdict::Tests(tests) => tests.push(test),
                },
                Err(at) => by_number.insert(at, (number, Verdict::Tests(vec![test]))),
            }
        }
        Ok(())
    }
}

/// The conditions of one rule: all must hold. Where an argument is named twice, any may hold, as in
/// runc: Docker's older profiles mean that.
fn alternatives(rule: usize, args: &[spec::Arg]) -> Result<Vec<Vec<Condition>>, SeccompError> {
    let mut conditions = Vec::with_capacity(args.len());
    let mut seen = 0_u8;
    let mut repeated = false;
    for (position, arg) in args.iter().enumerate() {
        let index = u8::try_from(arg.index)
            .ok()
            .filter(|&index| index <= 5)
            .ok_or(SeccompError::BadArgumentIndex { rule, arg: position, index: arg.index })?;
        let op = Op::parse(&arg.op).ok_or_else(|| SeccompError::UnknownOperator {
            rule,
            arg: position,
            op: arg.op.clone(),
        })?;
        let (mask, value) = match op {
            Op::Masked => (arg.value, arg.value & arg.value_two),
            _ => (u64::MAX, arg.value),
        };
        repeated |= seen & 1 << index != 0;
        seen |= 1 << index;
        conditions.push(Condition { index, op, mask, value });
    }
    if conditions.is_empty() {
        return Ok(Vec::new());
    }
    if repeated {
        return Ok(conditions.into_iter().map(|condition| vec![condition]).collect());
    }
    conditions.sort_unstable_by_key(|condition| condition.index);
    Ok(vec![conditions])
}
