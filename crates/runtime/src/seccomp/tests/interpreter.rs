//! The kernel's classic BPF as far as seccomp filters have it.

use crate::seccomp::Insn;

/// `struct seccomp_data` without the instruction pointer.
pub(super) struct Data {
    pub(super) number: u32,
    pub(super) audit: u32,
    pub(super) args: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        let mut bytes = [0; 64];
        bytes[..4].copy_from_slice(&self.number.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.audit.to_le_bytes());
        for (slot, arg) in bytes[16..].chunks_exact_mut(8).zip(self.args) {
            slot.copy_from_slice(&arg.to_le_bytes());
        }
        let at = offset as usize;
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }
}

/// What `bpf_check_classic` and `seccomp_check_filter` ask for.
pub(super) fn check(program: &[Insn]) {
    assert!((1..=4096).contains(&program.len()), "{} instructions", program.len());
    assert_eq!(program.last().unwrap().code, 0x06, "does not end with a return");
    for (at, insn) in program.iter().enumerate() {
        let left = program.len() - at - 1;
        match insn.code {
            0x20 => assert!(insn.k < 64 && insn.k.is_multiple_of(4), "load of {} at {at}", insn.k),
            0x05 => assert!((insn.k as usize) < left, "jump out of the program at {at}"),
            0x15 | 0x25 | 0x35 | 0x45 => {
                assert!(usize::from(insn.jt.max(insn.jf)) < left, "branch out of the program at {at}");
            }
            0x06 | 0x54 => {}
            code => panic!("unknown instruction {code:#x} at {at}"),
        }
    }
}

pub(super) fn run(program: &[Insn], data: &Data) -> u32 {
    trace(program, data).0
}

/// The action, and how many instructions it took.
pub(super) fn trace(program: &[Insn], data: &Data) -> (u32, usize) {
    let mut accumulator = 0;
    let mut at = 0;
    let mut steps = 0;
    loop {
        let insn = &program[at];
        at += 1;
        steps += 1;
        let mut branch = |taken| at += usize::from(if taken { insn.jt } else { insn.jf });
        match insn.code {
            0x20 => accumulator = data.word(insn.k),
            0x54 => accumulator &= insn.k,
            0x05 => at += insn.k as usize,
            0x15 => branch(accumulator == insn.k),
            0x25 => branch(accumulator > insn.k),
            0x35 => branch(accumulator >= insn.k),
            0x45 => branch(accumulator & insn.k != 0),
            0x06 => return (insn.k, steps),
            code => panic!("unknown instruction {code:#x}"),
        }
    }
}
