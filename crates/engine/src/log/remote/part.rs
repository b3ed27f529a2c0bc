//! Lines that were too long for one record.

use crate::{attach::Channel, log::Line};

/// A record of this many bytes without a break is a part of a line: the monitor cuts lines at 16 KiB, or up to three
/// bytes before where a character lies across the cut.
const CUT: usize = (16 << 10) - 3;

/// Which part of which line a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The same for all parts of a line.
    pub(super) id: String,
    /// From 1.
    pub(super) ordinal: u32,
    pub(super) is_last: bool,
}

/// Lines whose ends have not come yet, by stream.
#[derive(Debug, Default)]
pub(super) struct Parts([Option<(String, u32)>; 2]);

impl Parts {
    /// Says which part a record is; `None` for a whole line.
    pub(super) fn of(&mut self, line: &Line<'_>) -> Option<Part> {
        let begun = &mut self.0[usize::from(line.channel == Channel::Stderr)];
        let is_last = line.text.ends_with('\n') || line.text.len() < CUT;
        if is_last && begun.is_none() {
            return None;
        }
        let new = || (format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..)), 0);
        let (id, ordinal) = begun.take().unwrap_or_else(new);
        let part = Part { id, ordinal: ordinal + 1, is_last };
        if !is_last {
            *begun = Some((part.id.clone(), part.ordinal));
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::Parts;
    use crate::{attach::Channel, log::Line};

    #[test]
    fn parts_of_a_line_have_one_id_and_numbers() {
        let mut parts = Parts::default();
        let long = "x".repeat(16 << 10);
        let mut of = |channel, text: &str| {
            let line =
                Line { channel, time: longshore_types::Timestamp(1), text: text.into(), details: [].into() };
            parts.of(&line)
        };
        assert_eq!(of(Channel::Stdout, "whole\n"), None);
        assert_eq!(of(Channel::Stdout, "no break at the end of all"), None);
        let first = of(Channel::Stdout, &long).unwrap();
        let other = of(Channel::Stderr, &long).unwrap();
        let second = of(Channel::Stdout, &long).unwrap();
        let last = of(Channel::Stdout, "end\n").unwrap();
        assert_eq!((first.ordinal, second.ordinal, last.ordinal), (1, 2, 3));
        assert!(first.id == last.id && first.id != other.id);
        assert!(!first.is_last && !second.is_last && last.is_last);
        assert_eq!(of(Channel::Stdout, "next\n"), None);
    }
}
