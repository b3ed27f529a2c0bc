//! Classic BPF, assembled from its end.
//!
//! Jumps go forward only, so the code that a jump leads to exists before the jump when instructions
//! are added in front. Conditional jumps reach 255 instructions; for farther ones the assembler adds
//! a copy of the target (a return) or an unconditional jump within reach.

use super::Insn;

const LOAD_WORD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

/// A conditional jump that compares the accumulator with a constant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Test {
    Equal = 0x15,
    Greater = 0x25,
    GreaterEqual = 0x35,
    /// Any bit in common.
    AnyBit = 0x45,
}

/// An instruction, counted from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// Farthest jump made, so that a second extra instruction cannot push a target out of reach.
const REACH: usize = 250;

#[derive(Default)]
pub(super) struct Assembler {
    /// Last instruction first.
    reversed: Vec<Insn>,
    /// The most recent return of each value.
    returns: Vec<(u32, Label)>,
}

impl Assembler {
    /// How many instructions there are by now.
    pub(super) fn len(&self) -> usize {
        self.reversed.len()
    }

    pub(super) fn finish(mut self) -> Vec<Insn> {
        self.reversed.reverse();
        self.reversed
    }

    /// A return of `value`, an earlier one where that is in reach.
    pub(super) fn ret(&mut self, value: u32) -> Label {
        let known = self.returns.iter().position(|&(known, _)| known == value);
        if let Some(known) = known {
            let label = self.returns[known].1;
            if self.reversed.len() - label.0 <= REACH / 2 {
                return label;
            }
            self.returns.swap_remove(known);
        }
        let label = self.push(RETURN, 0, 0, value);
        self.returns.push((value, label));
        label
    }

    /// Loads the 32-bit word at `offset` of `seccomp_data` and goes on at `next`.
    pub(super) fn load(&mut self, offset: u32, next: Label) -> Label {
        self.fall_through(next);
        self.push(LOAD_WORD, 0, 0, offset)
    }

    /// Masks the accumulator and goes on at `next`.
    pub(super) fn and(&mut self, mask: u32, next: Label) -> Label {
        self.fall_through(next);
        self.push(AND, 0, 0, mask)
    }

    /// Goes on at `yes` where the accumulator passes `test` against `value`, else at `no`.
    pub(super) fn branch(&mut self, test: Test, value: u32, yes: Label, no: Label) -> Label {
        let yes = self.in_reach(yes);
        let no = self.in_reach(no);
        let (yes, no) = (self.distance(yes), self.distance(no));
        let short = |distance| u8::try_from(distance).expect("in_reach bounds the distance");
        self.push(test as u16, short(yes), short(no), value)
    }

    fn fall_through(&mut self, next: Label) {
        let distance = self.distance(next);
        if distance > 0 {
            self.push(JUMP, 0, 0, distance);
        }
    }

    fn in_reach(&mut self, target: Label) -> Label {
        let distance = self.distance(target);
        if distance as usize <= REACH {
            return target;
        }
        let there = &self.reversed[target.0];
        if there.code == RETURN {
            let value = there.k;
            return self.ret(value);
        }
        self.push(JUMP, 0, 0, distance)
    }

    /// Instructions between one added now and `target`.
    fn distance(&self, target: Label) -> u32 {
        u32::try_from(self.reversed.len() - 1 - target.0).expect("a program is far below 4 GiB")
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.reversed.push(Insn { code, jt, jf, k });
        Label(self.reversed.len() - 1)
    }
}
