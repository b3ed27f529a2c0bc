//! Numbers of the system calls on each architecture, by name.
//!
//! `syscalls.tbl` is parsed by the compiler: the program holds an array sorted by name with a hash
//! table over it, and nothing is built at run time. It names every call that Linux has on any architecture, so that a profile made for
//! several gives no warning.

use super::arch::{ARCH_COUNT, Arch};

const TEXT: &[u8] = include_bytes!("syscalls.tbl");
const NO_NUMBER: u32 = u32::MAX;

/// A call that 32-bit x86 also reaches through one that multiplexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Multiplexed {
    /// `socketcall(2)` with this first argument.
    Socket(u32),
    /// `ipc(2)` with this in the low 16 bits of the first argument.
    Ipc(u32),
}

/// The numbers of one system call.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    numbers: [u32; ARCH_COUNT],
    pub(super) multiplexed: Option<Multiplexed>,
}

impl Entry {
    /// The number on `arch`, without the bit that marks x32.
    pub(super) fn number(&self, arch: Arch) -> Option<u32> {
        Some(self.numbers[arch as usize]).filter(|&number| number != NO_NUMBER)
    }
}

/// Sorted by name.
pub(super) static ENTRIES: [Entry; count()] = parse();

/// Finds the entry of `name`, as an index into [`ENTRIES`].
pub(super) fn find(name: &str) -> Option<usize> {
    let mut slot = first_slot(name.as_bytes());
    while let Some(index) = usize::from(SLOTS[slot]).checked_sub(1) {
        if ENTRIES[index].name == name {
            return Some(index);
        }
        slot = (slot + 1) % SLOT_COUNT;
    }
    None
}

/// Twice the entries or more, so that probing is short and ends.
const SLOT_COUNT: usize = (2 * count()).next_power_of_two();

/// One more than an index into [`ENTRIES`], at the first free slot from [`first_slot`]; 0 is free.
static SLOTS: [u16; SLOT_COUNT] = slots();

const fn first_slot(name: &[u8]) -> usize {
    // FNV-1a.
    let mut hash = 0x811c_9dc5_u32;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ hash >> 16) as usize % SLOT_COUNT
}

#[expect(clippy::cast_possible_truncation, reason = "there are some 500 entries")]
const fn slots() -> [u16; SLOT_COUNT] {
    let mut slots = [0; SLOT_COUNT];
    let mut index = 0;
    while index < ENTRIES.len() {
        let mut slot = first_slot(ENTRIES[index].name.as_bytes());
        while slots[slot] != 0 {
            slot = (slot + 1) % SLOT_COUNT;
        }
        slots[slot] = index as u16 + 1;
        index += 1;
    }
    slots
}

const fn line_end(mut at: usize) -> usize {
    while TEXT[at] != b'\n' {
        at += 1;
    }
    at
}

const fn count() -> usize {
    let (mut at, mut entries) = (0, 0);
    while at < TEXT.len() {
        if TEXT[at] != b'#' {
            entries += 1;
        }
        at = line_end(at) + 1;
    }
    entries
}

const fn parse() -> [Entry; count()] {
    const EMPTY: Entry = Entry { name: "", numbers: [NO_NUMBER; ARCH_COUNT], multiplexed: None };
    let mut entries = [EMPTY; count()];
    let (mut at, mut filled) = (0, 0);
    while at < TEXT.len() {
        if TEXT[at] != b'#' {
            entries[filled] = parse_line(at);
            filled += 1;
        }
        at = line_end(at) + 1;
    }
    entries
}

const fn parse_line(start: usize) -> Entry {
    let mut at = start;
    while TEXT[at] != b' ' {
        at += 1;
    }
    let Ok(name) = str::from_utf8(TEXT.split_at(at).0.split_at(start).1) else {
        panic!("a system call's name is not UTF-8")
    };
    let mut numbers = [NO_NUMBER; ARCH_COUNT];
    let mut arch = 0;
    while arch < ARCH_COUNT {
        (numbers[arch], at) = parse_number(at + 1);
        arch += 1;
    }
    let multiplexed = match TEXT[at] {
        b'\n' => None,
        _ if TEXT[at + 1] == b's' => Some(Multiplexed::Socket(parse_number(at + 2).0)),
        _ => Some(Multiplexed::Ipc(parse_number(at + 2).0)),
    };
    Entry { name, numbers, multiplexed }
}

/// The number (or `-`) at `at`, and where it ends.
const fn parse_number(mut at: usize) -> (u32, usize) {
    if TEXT[at] == b'-' {
        return (NO_NUMBER, at + 1);
    }
    let mut number = 0;
    while TEXT[at].is_ascii_digit() {
        number = number * 10 + (TEXT[at] - b'0') as u32;
        at += 1;
    }
    (number, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_unique() {
        for pair in ENTRIES.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} before {}", pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn every_name_is_found() {
        for (index, entry) in ENTRIES.iter().enumerate() {
            assert_eq!(find(entry.name), Some(index), "{}", entry.name);
        }
        for name in ["", "no_such_call", "rea", "READ"] {
            assert_eq!(find(name), None);
        }
    }

    #[test]
    fn numbers_are_unique_on_each_architecture() {
        for arch in Arch::ALL {
            let mut numbers: Vec<u32> = ENTRIES.iter().filter_map(|entry| entry.number(arch)).collect();
            let all = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), all, "{arch:?}");
            assert!(all > 300, "{arch:?} has only {all} calls");
        }
    }

    #[test]
    fn knows_numbers_of_the_uapi_headers() {
        let numbers = |name| {
            let entry = &ENTRIES[find(name).unwrap()];
            Arch::ALL.map(|arch| entry.number(arch))
        };
        assert_eq!(numbers("read"), [Some(0), Some(3), Some(0), Some(63), Some(3)]);
        assert_eq!(numbers("socket"), [Some(41), Some(359), Some(41), Some(198), Some(281)]);
        assert_eq!(numbers("execve"), [Some(59), Some(11), Some(520), Some(221), Some(11)]);
        assert_eq!(numbers("pwritev2"), [Some(328), Some(379), Some(547), Some(287), Some(393)]);
        assert_eq!(numbers("socketcall"), [None, Some(102), None, None, None]);
        assert_eq!(numbers("listns"), [Some(470); ARCH_COUNT]);
        assert_eq!(numbers("riscv_flush_icache"), [None; ARCH_COUNT]);
        assert_eq!(numbers("set_tls"), [None, None, None, None, Some(0xf0005)]);
        assert_eq!(ENTRIES[find("accept").unwrap()].multiplexed, Some(Multiplexed::Socket(5)));
        assert_eq!(ENTRIES[find("shmctl").unwrap()].multiplexed, Some(Multiplexed::Ipc(24)));
    }
}
