//! The rules as cgroup v1 can hold them: a default for all devices, and exceptions from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Access, Devices, Rule, Type};
use crate::cgroup::CgroupError;

/// A default, and the access of each set of devices that differs from it.
///
/// The kernel allows access that one exception of an allow list holds whole, and denies access that
/// any exception of a deny list holds in part (`security/device_cgroup.c`); entries are not merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cgroup) struct Policy {
    pub(in crate::cgroup) allow: bool,
    exceptions: BTreeMap<Devices, Access>,
}

const ANY: [Devices; 2] = [
    Devices { kind: Type::Char, major: None, minor: None },
    Devices { kind: Type::Block, major: None, minor: None },
];

impl Policy {
    /// What `rules` come to, where nothing is allowed before them.
    ///
    /// # Errors
    /// A rule that takes devices back from the middle of a wildcard.
    pub(in crate::cgroup) fn of(rules: &[Rule]) -> Result<Self, CgroupError> {
        let mut policy = Self::default();
        let mut rest = rules;
        while let [rule, after @ ..] = rest {
            rest = after;
            // Type `a` with all access came as a pair: it begins the list anew.
            if let [next, beyond @ ..] = after
                && [rule.devices, next.devices] == ANY
                && [rule.access, next.access] == [Access::ALL; 2]
                && rule.allow == next.allow
            {
                policy = Self { allow: rule.allow, exceptions: BTreeMap::new() };
                rest = beyond;
            } else {
                policy.apply(*rule)?;
            }
        }
        Ok(policy)
    }

    fn apply(&mut self, rule: Rule) -> Result<(), CgroupError> {
        if rule.allow != self.allow {
            let access = self.exceptions.entry(rule.devices).or_insert(Access::NONE);
            *access = access.or(rule.access);
            return Ok(());
        }
        for (devices, access) in &mut self.exceptions {
            let lost = access.and(rule.access);
            if lost.is_empty() || !rule.devices.meet(*devices) {
                continue;
            }
            if !rule.devices.cover(*devices) {
                return Err(CgroupError::DeviceHole {
                    field: "devices".to_owned(),
                    rule: format!("{} {}", rule.devices, rule.access),
                    other: format!("{devices} {access}"),
                });
            }
            *access = access.without(lost);
        }
        self.exceptions.retain(|_, access| !access.is_empty());
        Ok(())
    }

    /// What differs from the default.
    pub(in crate::cgroup) fn exceptions(&self) -> impl Iterator<Item = (Devices, Access)> {
        self.exceptions.iter().map(|(devices, access)| (*devices, *access))
    }

    /// The writes for a cgroup that nobody uses yet: file and value.
    pub(in crate::cgroup) fn fresh(&self) -> impl Iterator<Item = (&'static str, String)> {
        let (default, other) = self.files();
        let exceptions = self.exceptions.iter().map(move |(d, access)| (other, format!("{d} {access}")));
        std::iter::once((default, "a".to_owned())).chain(exceptions)
    }

    /// The writes that lead here from what `devices.list` shows; never shuts a running process out
    /// of what it keeps.
    pub(in crate::cgroup) fn from(&self, list: &str) -> Vec<(&'static str, String)> {
        let before = Self::read(list);
        // A deny list does not show in `devices.list`, so that one has to begin anew.
        let Some(before) = before.filter(|before| !before.allow && !self.allow) else {
            return self.fresh().collect();
        };
        let none = &Access::NONE;
        let mut writes = Vec::new();
        for (devices, access) in &self.exceptions {
            let gained = access.without(*before.exceptions.get(devices).unwrap_or(none));
            if !gained.is_empty() {
                writes.push(("devices.allow", format!("{devices} {gained}")));
            }
        }
        for (devices, access) in &before.exceptions {
            let lost = access.without(*self.exceptions.get(devices).unwrap_or(none));
            if !lost.is_empty() {
                writes.push(("devices.deny", format!("{devices} {lost}")));
            }
        }
        writes
    }

    /// The file that sets the default and the file that takes exceptions.
    fn files(&self) -> (&'static str, &'static str) {
        if self.allow { ("devices.allow", "devices.deny") } else { ("devices.deny", "devices.allow") }
    }

    /// Reads `devices.list`; `None` for a list that is not understood.
    fn read(list: &str) -> Option<Self> {
        let mut policy = Self::default();
        for line in list.lines() {
            let mut fields = line.split([' ', ':']);
            let kind = match fields.next()? {
                "a" => return Some(Self { allow: true, exceptions: BTreeMap::new() }),
                "b" => Type::Block,
                "c" => Type::Char,
                _ => return None,
            };
            let mut number = || match fields.next()? {
                "*" => Some(None),
                digits => digits.parse().ok().map(Some),
            };
            let (major, minor) = (number()?, number()?);
            policy.exceptions.insert(Devices { kind, major, minor }, Access::parse(fields.next()?)?);
        }
        Some(policy)
    }

    /// Whether the kernel, holding this policy, lets a process use a device.
    #[cfg(test)]
    pub(super) fn permits(&self, device: Devices, access: Access) -> bool {
        let mut hits = self.exceptions.iter().filter(|(devices, _)| devices.cover(device));
        if self.allow {
            hits.all(|(_, denied)| denied.and(access).is_empty())
        } else {
            hits.any(|(_, allowed)| access.without(*allowed).is_empty())
        }
    }
}
