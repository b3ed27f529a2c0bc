//! Comparisons of arguments, and the order in which rules for one call are tried.

use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    NotEqual,
    Less,
    LessEqual,
    Equal,
    GreaterEqual,
    Greater,
    /// Equal in the bits of the mask.
    Masked,
}

impl Op {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "SCMP_CMP_NE" => Self::NotEqual,
            "SCMP_CMP_LT" => Self::Less,
            "SCMP_CMP_LE" => Self::LessEqual,
            "SCMP_CMP_EQ" => Self::Equal,
            "SCMP_CMP_GE" => Self::GreaterEqual,
            "SCMP_CMP_GT" => Self::Greater,
            "SCMP_CMP_MASKED_EQ" => Self::Masked,
            _ => return None,
        })
    }

    fn rank(self) -> u8 {
        match self {
            Self::Masked | Self::Equal | Self::NotEqual => 3,
            Self::LessEqual | Self::Less => 2,
            Self::GreaterEqual | Self::Greater => 1,
        }
    }
}

/// One argument compared, unsigned, with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0–5.
    pub(super) index: u8,
    pub(super) op: Op,
    /// All ones but for [`Op::Masked`].
    pub(super) mask: u64,
    /// Within the mask.
    pub(super) value: u64,
}

impl Condition {
    /// The condition on the low 32 bits of the argument.
    pub(super) fn narrowed(self) -> Self {
        let low = u64::from(u32::MAX);
        Self { mask: self.mask & low, value: self.value & low, ..self }
    }

    /// Whether it holds whatever the argument is.
    pub(super) fn is_always_true(self) -> bool {
        self.mask == 0
    }

    /// The 32-bit comparisons that libseccomp makes of it, most significant word first.
    fn words(self, narrow: bool) -> impl Iterator<Item = Word> {
        let ordered = !matches!(self.op, Op::NotEqual | Op::Equal | Op::Masked);
        let equality = if self.op == Op::Masked { Op::Masked } else { Op::Equal };
        let low = match self.op {
            Op::Greater | Op::LessEqual => Op::Greater,
            Op::GreaterEqual | Op::Less => Op::GreaterEqual,
            _ => equality,
        };
        let word = move |high: bool, test| Word {
            place: (self.index, high),
            test,
            mask: if high { self.mask >> 32 } else { self.mask & 0xffff_ffff },
            value: if high { self.value >> 32 } else { self.value & 0xffff_ffff },
            op: self.op,
        };
        [
            (!narrow && ordered).then(|| word(true, Op::Greater)),
            (!narrow).then(|| word(true, equality)),
            Some(word(false, low)),
        ]
        .into_iter()
        .flatten()
    }
}

/// A node of the decision chain that libseccomp builds.
pub(super) struct Word {
    place: (u8, bool),
    test: Op,
    mask: u64,
    value: u64,
    op: Op,
}

impl Word {
    fn same(&self, other: &Self) -> bool {
        (self.place, self.test, self.mask, self.value) == (other.place, other.test, other.mask, other.value)
    }

    /// Whether `other` is tried before `self`.
    fn yields_to(&self, other: &Self) -> bool {
        let by_value = match self.op {
            Op::LessEqual | Op::Less => other.value.cmp(&self.value),
            _ => self.value.cmp(&other.value),
        };
        let order = self.place.cmp(&other.place).then(self.op.rank().cmp(&other.op.rank())).then(by_value);
        order == Ordering::Less
    }
}

/// Conditions that must all hold, and the action then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alternative {
    /// By argument; each argument once; never empty.
    pub(super) conditions: Vec<Condition>,
    pub(super) action: u32,
}

/// Alternatives in the order in which libseccomp tries them.
///
/// Alternatives overlap in few profiles, and with different actions in fewer. There the order
/// decides, the runtime spec has none, and profiles are written against libseccomp: higher arguments
/// first, then equalities, then upper bounds (the smallest first), then lower bounds (the largest
/// first). It compares words, not values, and chains that begin with the same comparison stay
/// together; hence the detour over [`Word`].
#[derive(Default)]
pub(super) struct Ordered(Vec<(Vec<Word>, Alternative)>);

/// Two alternatives for the same conditions with different actions.
pub(super) struct Conflict;

impl Ordered {
    pub(super) fn insert(&mut self, new: Alternative, narrow: bool) -> Result<(), Conflict> {
        if let Some((_, old)) = self.0.iter().find(|(_, old)| old.conditions == new.conditions) {
            return if old.action == new.action { Ok(()) } else { Err(Conflict) };
        }
        let words: Vec<Word> = new.conditions.iter().flat_map(|condition| condition.words(narrow)).collect();
        let position = self.position(&words);
        self.0.insert(position, (words, new));
        Ok(())
    }

    fn position(&self, new: &[Word]) -> usize {
        // The chains that begin with as many words of `new` as were looked at.
        let mut group = 0..self.0.len();
        for (depth, word) in new.iter().enumerate() {
            let at = |index: usize| self.0[index].0.get(depth);
            let stop = |index: &usize| at(*index).is_some_and(|old| old.same(word) || old.yields_to(word));
            let Some(start) = group.clone().find(stop) else { return group.end };
            let same = |index: &usize| at(*index).is_some_and(|old| old.same(word));
            if !same(&start) {
                return start;
            }
            let end = (start..group.end).find(|index| !same(index)).unwrap_or(group.end);
            group = start..end;
        }
        group.end
    }

    pub(super) fn into_alternatives(self) -> Vec<Alternative> {
        self.0.into_iter().map(|(_, alternative)| alternative).collect()
    }
}
