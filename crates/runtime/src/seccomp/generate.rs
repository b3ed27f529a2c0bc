//! From verdicts to instructions.
//!
//! The numbers of an architecture are cut into spans with one outcome each; a balanced tree of
//! comparisons finds the span. A few single numbers inside a larger span (its exceptions) are tested
//! at the leaf, one instruction each instead of two. Tests of arguments hang below the tree, shared
//! by all calls that have the same.

use super::{
    Insn, MAX_INSTRUCTIONS, SeccompError, action,
    arch::{Arch, X32_BIT},
    assembler::{Assembler, Label, Test},
    condition::{Alternative, Condition, Op},
    rules::{Rules, Verdict},
};

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// How many single numbers a leaf tests before it falls back to its span.
const MAX_EXCEPTIONS: usize = 2;

/// What happens to a call on an architecture that the profile does not list. libseccomp kills the
/// thread; a process without one of its threads is of no use, so this kills the process.
const BAD_ARCHITECTURE: u32 = action::KILL_PROCESS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Return(u32),
    /// Index into [`Blocks::labels`].
    Tests(usize),
}

/// From `start` to the start of the next span.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    outcome: Outcome,
}

/// Tests of arguments that were emitted, so that equal ones are emitted once.
#[derive(Default)]
struct Blocks {
    known: Vec<(Vec<Alternative>, bool)>,
    labels: Vec<Label>,
}

pub(super) fn program(rules: &Rules, archs: &[Arch]) -> Result<Vec<Insn>, SeccompError> {
    let mut assembler = Assembler::default();
    let mut blocks = Blocks::default();
    let mut trees = Vec::new();
    for &arch in archs {
        if arch == Arch::X32 && archs.contains(&Arch::X86_64) {
            continue;
        }
        let mut spans = Vec::new();
        if arch.audit() == Arch::X86_64.audit() {
            x86_64(rules, archs, &mut spans, &mut assembler, &mut blocks)?;
        } else {
            cover(rules, arch, 0, &mut spans, &mut assembler, &mut blocks)?;
        }
        trees.push((arch, spans));
    }
    let mut start = assembler.ret(BAD_ARCHITECTURE);
    // The first, native architecture last: its tree then follows the dispatch.
    for (arch, spans) in trees.iter().rev() {
        let leaves = leaves(spans);
        let tree = tree(&leaves, &mut assembler, &blocks);
        let tree = assembler.load(NUMBER, tree);
        start = assembler.branch(Test::Equal, arch.audit(), tree, start);
    }
    assembler.load(ARCHITECTURE, start);
    if assembler.len() > MAX_INSTRUCTIONS {
        return Err(SeccompError::TooLong);
    }
    Ok(assembler.finish())
}

/// The numbers of x86-64, and from [`X32_BIT`] those of x32, of which either may be missing.
fn x86_64(
    rules: &Rules,
    archs: &[Arch],
    spans: &mut Vec<Span>,
    assembler: &mut Assembler,
    blocks: &mut Blocks,
) -> Result<(), SeccompError> {
    if archs.contains(&Arch::X86_64) {
        cover(rules, Arch::X86_64, 0, spans, assembler, blocks)?;
    } else {
        append(spans, 0, Outcome::Return(BAD_ARCHITECTURE));
    }
    if archs.contains(&Arch::X32) {
        return cover(rules, Arch::X32, X32_BIT, spans, assembler, blocks);
    }
    append(spans, X32_BIT, Outcome::Return(BAD_ARCHITECTURE));
    // A tracer sets -1 to skip a call, and the filter sees it again.
    append(spans, u32::MAX, Outcome::Return(rules.default));
    Ok(())
}

/// Appends the spans of `arch`, whose numbers start at `base`.
///
/// As in runc, a number above the largest that the profile names is taken for a call that came
/// after the profile was written: `ENOSYS`, on which callers fall back to older calls, instead of a
/// default action that does not let it through.
fn cover(
    rules: &Rules,
    arch: Arch,
    base: u32,
    spans: &mut Vec<Span>,
    assembler: &mut Assembler,
    blocks: &mut Blocks,
) -> Result<(), SeccompError> {
    let verdicts = rules.verdicts(arch)?;
    let default = Outcome::Return(rules.default);
    let newer = verdicts.last.filter(|_| !action::is_permissive(rules.default)).map(|last| last + 1);
    append(spans, base, default);
    let mut pending = newer;
    for (number, verdict) in verdicts.by_number {
        if let Some(newer) = pending.take_if(|newer| *newer <= number) {
            append(spans, base + newer, Outcome::Return(action::ENOSYS));
        }
        let outcome = match verdict {
            Verdict::Return(action) => Outcome::Return(action),
            Verdict::Tests(tests) => blocks.add(tests, arch.narrow(), rules.default, assembler),
        };
        append(spans, base + number, outcome);
        let gap =
            if pending.is_none() && newer.is_some() { Outcome::Return(action::ENOSYS) } else { default };
        append(spans, base + number + 1, gap);
    }
    if let Some(newer) = pending {
        append(spans, base + newer, Outcome::Return(action::ENOSYS));
    }
    Ok(())
}

/// Starts a span, which replaces one that starts at the same number and continues an equal one.
fn append(spans: &mut Vec<Span>, start: u32, outcome: Outcome) {
    if spans.last().is_some_and(|last| last.start == start) {
        spans.pop();
    }
    if spans.last().is_none_or(|last| last.outcome != outcome) {
        spans.push(Span { start, outcome });
    }
}

/// A span with single numbers in it that have another outcome.
#[derive(Debug)]
struct Leaf {
    start: u32,
    outcome: Outcome,
    exceptions: Vec<Span>,
}

fn leaves(spans: &[Span]) -> Vec<Leaf> {
    let mut leaves = Vec::with_capacity(spans.len());
    let mut rest = spans;
    while let [first, after @ ..] = rest {
        let mut leaf = Leaf { start: first.start, outcome: first.outcome, exceptions: Vec::new() };
        rest = after;
        while let Some(count) = exceptions(rest, first.outcome, MAX_EXCEPTIONS - leaf.exceptions.len()) {
            leaf.exceptions.extend_from_slice(&rest[..count]);
            rest = &rest[count + 1..];
        }
        leaves.push(leaf);
    }
    leaves
}

/// How many spans, at most `limit` and each of one number, stand before `outcome` comes back.
fn exceptions(spans: &[Span], outcome: Outcome, limit: usize) -> Option<usize> {
    let count = spans.iter().take(limit + 1).position(|span| span.outcome == outcome)?;
    let single = |pair: &[Span]| pair[0].start + 1 == pair[1].start;
    (count > 0 && spans[..=count].windows(2).all(single)).then_some(count)
}

fn tree(leaves: &[Leaf], assembler: &mut Assembler, blocks: &Blocks) -> Label {
    if let [leaf] = leaves {
        let mut label = blocks.label(leaf.outcome, assembler);
        for exception in leaf.exceptions.iter().rev() {
            let hit = blocks.label(exception.outcome, assembler);
            label = assembler.branch(Test::Equal, exception.start, hit, label);
        }
        return label;
    }
    let (left, right) = leaves.split_at(leaves.len() / 2);
    let pivot = right[0].start;
    let right = tree(right, assembler, blocks);
    let left = tree(left, assembler, blocks);
    assembler.branch(Test::GreaterEqual, pivot, right, left)
}

impl Blocks {
    fn label(&self, outcome: Outcome, assembler: &mut Assembler) -> Label {
        match outcome {
            Outcome::Return(action) => assembler.ret(action),
            Outcome::Tests(index) => self.labels[index],
        }
    }

    fn add(
        &mut self,
        tests: Vec<Alternative>,
        narrow: bool,
        default: u32,
        assembler: &mut Assembler,
    ) -> Outcome {
        if let Some(index) = self.known.iter().position(|known| known.1 == narrow && known.0 == tests) {
            return Outcome::Tests(index);
        }
        let mut next = assembler.ret(default);
        let mut rest = &tests[..];
        while let Some(last) = rest.last() {
            let run = rest.iter().rev().take_while(|test| joins(test, last, narrow)).count().max(1);
            let (before, run) = rest.split_at(rest.len() - run);
            next = emit_run(run, next, narrow, assembler);
            rest = before;
        }
        self.known.push((tests, narrow));
        self.labels.push(next);
        Outcome::Tests(self.labels.len() - 1)
    }
}

/// Whether two alternatives are single comparisons that need the same words loaded.
fn joins(test: &Alternative, last: &Alternative, narrow: bool) -> bool {
    let ([test], [last]) = (&test.conditions[..], &last.conditions[..]) else { return false };
    let plain = test.op != Op::Masked && last.op != Op::Masked;
    plain && test.index == last.index && (narrow || test.value >> 32 == last.value >> 32)
}

/// Emits alternatives that [`joins`] holds for, or one of any kind.
fn emit_run(run: &[Alternative], next: Label, narrow: bool, assembler: &mut Assembler) -> Label {
    if let [Alternative { conditions, action }] = run {
        let mut label = assembler.ret(*action);
        for condition in conditions.iter().rev() {
            label = if condition.op == Op::Masked {
                emit_masked(condition, label, next, assembler)
            } else {
                emit_plain(&[(*condition, label)], next, narrow, assembler)
            };
        }
        return label;
    }
    let mut tests = Vec::with_capacity(run.len());
    for test in run {
        tests.push((test.conditions[0], assembler.ret(test.action)));
    }
    emit_plain(&tests, next, narrow, assembler)
}

/// Compares one argument with several values that have the high word in common; each test has the
/// place to go on at where it holds.
fn emit_plain(tests: &[(Condition, Label)], next: Label, narrow: bool, assembler: &mut Assembler) -> Label {
    let mut label = next;
    for (condition, hit) in tests.iter().rev() {
        let (test, inverted) = match condition.op {
            Op::Equal | Op::Masked => (Test::Equal, false),
            Op::NotEqual => (Test::Equal, true),
            Op::Greater => (Test::Greater, false),
            Op::LessEqual => (Test::Greater, true),
            Op::GreaterEqual => (Test::GreaterEqual, false),
            Op::Less => (Test::GreaterEqual, true),
        };
        let (yes, no) = if inverted { (label, *hit) } else { (*hit, label) };
        label = assembler.branch(test, low(condition.value), yes, no);
    }
    let index = tests[0].0.index;
    label = assembler.load(low_word(index), label);
    if narrow {
        return label;
    }
    let value = high(tests[0].0.value);
    let first = |ops: [Op; 3]| {
        tests.iter().find(|(condition, _)| ops.contains(&condition.op)).map_or(next, |(_, hit)| *hit)
    };
    let above = first([Op::NotEqual, Op::Greater, Op::GreaterEqual]);
    let below = first([Op::NotEqual, Op::Less, Op::LessEqual]);
    let unequal = if above == below || value == 0 {
        above
    } else {
        assembler.branch(Test::Greater, value, above, below)
    };
    let label = assembler.branch(Test::Equal, value, label, unequal);
    assembler.load(high_word(index), label)
}

fn emit_masked(condition: &Condition, hit: Label, next: Label, assembler: &mut Assembler) -> Label {
    let words = [
        (low_word(condition.index), low(condition.mask), low(condition.value)),
        (high_word(condition.index), high(condition.mask), high(condition.value)),
    ];
    let mut label = hit;
    for (offset, mask, value) in words {
        if mask == 0 {
            continue;
        }
        label = if value == 0 {
            assembler.branch(Test::AnyBit, mask, next, label)
        } else {
            let test = assembler.branch(Test::Equal, value, label, next);
            assembler.and(mask, test)
        };
        label = assembler.load(offset, label);
    }
    label
}

/// Both 32-bit words of an argument; all supported architectures are little-endian.
fn low_word(index: u8) -> u32 {
    ARGUMENTS + 8 * u32::from(index)
}

fn high_word(index: u8) -> u32 {
    low_word(index) + 4
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what it returns")]
fn low(value: u64) -> u32 {
    value as u32
}

fn high(value: u64) -> u32 {
    (value >> 32) as u32
}
