//! The rules as a program for cgroup v2, which the kernel runs at each `open` and `mknod`.
//!
//! It goes through the rules from the last to the first. Register 3 holds the kinds of access that
//! are not decided yet: a rule that denies one of them ends the program with 0, one that allows
//! takes them away, and when none is left the program ends with 1. Nothing is merged, so the program
//! says exactly what the ordered list says, holes in wildcards included.

use longshore_sys::bpf::Instruction;

use super::{Access, Rule, Type};

// Operation codes (kernel: `Documentation/bpf/standardization/instruction-set.rst`).
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb4;
const MOVE_REGISTER: u8 = 0xbc;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_UNEQUAL: u8 = 0x56;
const JUMP_ANY_BIT: u8 = 0x46;
const EXIT: u8 = 0x95;

/// Result; the argument, a pointer to `struct bpf_cgroup_dev_ctx`; and what is read from it.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// `BPF_DEVCG_DEV_BLOCK` and `BPF_DEVCG_DEV_CHAR`.
const fn kind(kind: Type) -> i32 {
    match kind {
        Type::Block => 1,
        Type::Char => 2,
    }
}

const fn op(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: to | from << 4, offset, immediate }
}

/// The program for `rules`, which is longer than the kernel takes from some 100,000 rules on.
pub(in crate::cgroup) fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        // The type is in the low half of the first word, the access in the high half.
        op(LOAD_WORD, KIND, CONTEXT, 0, 0),
        op(MOVE_REGISTER, ACCESS, KIND, 0, 0),
        op(AND, KIND, 0, 0, 0xffff),
        op(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        op(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        op(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        block(rule, &mut program);
    }
    program.extend([op(MOVE, RESULT, 0, 0, 0), op(EXIT, 0, 0, 0, 0)]);
    program
}

/// One rule: tests that jump past the block, then its decision.
fn block(rule: &Rule, program: &mut Vec<Instruction>) {
    let devices = rule.devices;
    let numbers = [(MAJOR, devices.major), (MINOR, devices.minor)];
    let mut tests = vec![(KIND, kind(devices.kind))];
    tests.extend(numbers.into_iter().filter_map(|(register, n)| Some((register, n?.cast_signed()))));
    let access = i32::from(rule.access.bits());
    let decision = if rule.allow {
        vec![
            op(AND, ACCESS, 0, 0, i32::from(Access::ALL.without(rule.access).bits())),
            op(JUMP_UNEQUAL, ACCESS, 0, 2, 0),
            op(MOVE, RESULT, 0, 0, 1),
            op(EXIT, 0, 0, 0, 0),
        ]
    } else {
        vec![
            op(JUMP_ANY_BIT, ACCESS, 0, 1, access),
            // Jump always: there is nothing to deny.
            op(0x05, 0, 0, 2, 0),
            op(MOVE, RESULT, 0, 0, 0),
            op(EXIT, 0, 0, 0, 0),
        ]
    };
    let length = tests.len() + decision.len();
    for (index, (register, value)) in tests.into_iter().enumerate() {
        let past = i16::try_from(length - index - 1).unwrap_or(0);
        program.push(op(JUMP_UNEQUAL, register, 0, past, value));
    }
    program.extend(decision);
}
