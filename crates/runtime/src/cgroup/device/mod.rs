//! The device allow list: from the spec's ordered rules to what each version of cgroups enforces.
//!
//! Nothing is allowed but what a rule allows. Of the rules that match a device and a kind of access
//! the last one decides, for each kind of access by itself. After the spec's rules come
//! [`DEFAULT_RULES`], as in runc, which a spec therefore cannot take back.

mod policy;
mod program;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::CgroupError;
use crate::spec::{Device, DeviceRule};

pub(super) use policy::Policy;
pub(super) use program::program;

/// Kinds of access as a set of bits, the kernel's `BPF_DEVCG_ACC_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Access(u8);

impl Access {
    pub(super) const NONE: Self = Self(0);
    pub(super) const MKNOD: Self = Self(1);
    pub(super) const READ: Self = Self(2);
    pub(super) const WRITE: Self = Self(4);
    pub(super) const ALL: Self = Self(7);

    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Reads `r`, `w` and `m`.
    fn parse(text: &str) -> Option<Self> {
        text.chars().try_fold(Self::NONE, |all, c| match c {
            'r' => Some(all.or(Self::READ)),
            'w' => Some(all.or(Self::WRITE)),
            'm' => Some(all.or(Self::MKNOD)),
            _ => None,
        })
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")] {
            if !self.and(bit).is_empty() {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// Block or character devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Type {
    Block,
    Char,
}

/// The devices that a rule is about; `None` matches every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Devices {
    pub(super) kind: Type,
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
}

impl Devices {
    /// Whether all of `other`'s devices are among these.
    fn cover(self, other: Self) -> bool {
        let covers = |ours: Option<u32>, theirs: Option<u32>| ours.is_none() || ours == theirs;
        self.kind == other.kind && covers(self.major, other.major) && covers(self.minor, other.minor)
    }

    /// Whether any device is of both.
    fn meet(self, other: Self) -> bool {
        let meets = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self.kind == other.kind && meets(self.major, other.major) && meets(self.minor, other.minor)
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.kind == Type::Block { "b " } else { "c " })?;
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        write!(f, "{}:{}", number(self.major), number(self.minor))
    }
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) allow: bool,
    pub(super) devices: Devices,
    pub(super) access: Access,
}

/// A node's path, type, major and minor number, and what may be done with it.
type DefaultRule = (&'static str, Type, Option<u32>, Option<u32>, Access);

/// What every container may use: `mknod` of anything, and the devices of the runtime
/// specification (`config-linux.md`, default devices), pseudo-terminals, `ptmx` and `tun`.
///
/// The path is the node's in `/dev`: where the spec has a device of its own there, the rule is left
/// to the spec, as in runc.
const DEFAULT_RULES: [DefaultRule; 11] = [
    ("", Type::Char, None, None, Access::MKNOD),
    ("", Type::Block, None, None, Access::MKNOD),
    ("/dev/null", Type::Char, Some(1), Some(3), Access::ALL),
    ("/dev/random", Type::Char, Some(1), Some(8), Access::ALL),
    ("/dev/full", Type::Char, Some(1), Some(7), Access::ALL),
    ("/dev/tty", Type::Char, Some(5), Some(0), Access::ALL),
    ("/dev/zero", Type::Char, Some(1), Some(5), Access::ALL),
    ("/dev/urandom", Type::Char, Some(1), Some(9), Access::ALL),
    ("", Type::Char, Some(136), None, Access::ALL),
    ("", Type::Char, Some(5), Some(2), Access::ALL),
    ("", Type::Char, Some(10), Some(200), Access::ALL),
];

/// The spec's rules and [`DEFAULT_RULES`] in order, each about one type of device.
pub(super) fn rules(spec: &[DeviceRule], nodes: &[Device]) -> Result<Vec<Rule>, CgroupError> {
    let mut rules = Vec::with_capacity(spec.len() + DEFAULT_RULES.len());
    for (index, rule) in spec.iter().enumerate() {
        let bad = |what: &str, value: String, expected| CgroupError::Value {
            field: format!("devices[{index}].{what}"),
            value,
            expected,
        };
        let access = Access::parse(&rule.access)
            .filter(|access| !access.is_empty())
            .ok_or_else(|| bad("access", format!("{:?}", rule.access), "one or more of r, w and m"))?;
        let number = |what: &str, value: Option<i64>| match value {
            None | Some(-1) => Ok(None),
            Some(number) => u32::try_from(number)
                .map(Some)
                .map_err(|_| bad(what, number.to_string(), "a device number or −1 for all")),
        };
        let (major, minor) = (number("major", rule.major)?, number("minor", rule.minor)?);
        let kinds: &[Type] = match rule.kind.as_str() {
            "" | "a" => &[Type::Char, Type::Block],
            "c" | "u" => &[Type::Char],
            "b" => &[Type::Block],
            other => return Err(bad("type", format!("{other:?}"), "a, b or c")),
        };
        let devices = kinds.iter().map(|&kind| Devices { kind, major, minor });
        rules.extend(devices.map(|devices| Rule { allow: rule.allow, devices, access }));
    }
    let own = |path: &str| !path.is_empty() && nodes.iter().any(|node| node.path == path);
    for (path, kind, major, minor, access) in DEFAULT_RULES {
        if !own(path) {
            rules.push(Rule { allow: true, devices: Devices { kind, major, minor }, access });
        }
    }
    Ok(rules)
}
