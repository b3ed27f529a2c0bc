//! A container's scope: its name, its slice, and the limits that systemd has a word for. Pure.
//!
//! Systemd sets the properties that it knows again when it reloads, so those must be told; all
//! limits are written to the cgroup by this runtime besides, which is where an error shows.

use longshore_types::ContainerId;
use serde::{Deserialize, Serialize};

use super::wire::Value;
use crate::{
    cgroup::{
        CgroupError, Version,
        device::{Policy, Type},
        limit::{Homes, memory_swap_alone, weight},
    },
    spec::{Cpu, Memory, Resources},
};

const DEFAULT_SLICE: &str = "system.slice";

/// The scope of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cgroup) struct Unit {
    pub(in crate::cgroup) name: String,
    pub(in crate::cgroup) slice: String,
    pub(in crate::cgroup) properties: Vec<(String, Value)>,
}

impl Unit {
    /// Reads `cgroupsPath`: `slice:prefix:name`, or empty for a scope of the container's ID.
    ///
    /// # Errors
    /// Another form, or parts that cannot be in a unit's name.
    pub(in crate::cgroup) fn parse(path: &str, id: &ContainerId) -> Result<Self, CgroupError> {
        let bad = || CgroupError::UnitFormat { path: path.to_owned() };
        let (slice, prefix, name) = if path.is_empty() {
            ("", "runc", id.as_str())
        } else {
            let mut parts = path.split(':');
            match (parts.next(), parts.next(), parts.next(), parts.next()) {
                (Some(slice), Some(prefix), Some(name), None) => (slice, prefix, name),
                _ => return Err(bad()),
            }
        };
        let slice = if slice.is_empty() { DEFAULT_SLICE } else { slice };
        // systemd.unit(5): the characters of a unit's name, and at most 255 of them.
        let fits = |text: &str| text.bytes().all(|c| c.is_ascii_alphanumeric() || b":-_.\\@".contains(&c));
        let unit = format!("{prefix}-{name}.scope");
        if !fits(&unit) || !fits(slice) || name.is_empty() || unit.len() > 255 || expand(slice).is_none() {
            return Err(bad());
        }
        Ok(Self { name: unit, slice: slice.to_owned(), properties: Vec::new() })
    }

    /// The path of the scope's cgroup in each hierarchy.
    pub(in crate::cgroup) fn path(&self) -> String {
        format!("{}{}", expand(&self.slice).unwrap_or_default(), self.name)
    }
}

/// The path of a slice, with a slash at the end: `a-b.slice` is `a.slice/a-b.slice/` (systemd.slice(5)).
fn expand(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice")?;
    if name == "-" {
        return Some(String::new());
    }
    let (mut path, mut prefix) = (String::new(), String::new());
    for part in name.split('-') {
        if part.is_empty() || part.contains('/') {
            return None;
        }
        prefix.push_str(part);
        path.push_str(&format!("{prefix}.slice/"));
        prefix.push('-');
    }
    Some(path)
}

/// What systemd is told of `resources`; 0 is "not set" as everywhere.
pub(in crate::cgroup) fn properties(
    resources: &Resources,
    homes: &Homes<'_>,
) -> Result<Vec<(String, Value)>, CgroupError> {
    let mut list = Vec::new();
    let version = |controller: &str| homes.of(controller).map(|(_, version)| version);
    if let (Some(cpu), Some(version)) = (&resources.cpu, version("cpu")) {
        self::cpu(cpu, version, &mut list);
    }
    if let Some(cpu) = &resources.cpu {
        for (name, text) in [("AllowedCPUs", &cpu.cpus), ("AllowedMemoryNodes", &cpu.mems)] {
            // Systemd sets these in version 2 alone.
            if !text.is_empty() && version("cpuset") == Some(Version::V2) {
                put(&mut list, name, Value::Bytes(mask(text)));
            }
        }
    }
    if let (Some(memory), Some(version)) = (&resources.memory, version("memory")) {
        self::memory(memory, version, &mut list)?;
    }
    if let Some(limit) = resources.pids.as_ref().and_then(|pids| pids.limit) {
        let most = u64::try_from(limit).ok().filter(|limit| *limit > 0);
        put(&mut list, "TasksMax", Value::Number(most.unwrap_or(u64::MAX)));
    }
    let weight = resources.block_io.as_ref().and_then(|io| io.weight).filter(|weight| *weight != 0);
    if let (Some(weight), Some(_)) = (weight, version("blkio")) {
        put(&mut list, "BlockIOWeight", Value::Number(weight.into()));
    }
    Ok(list)
}

fn put(list: &mut Vec<(String, Value)>, name: &str, value: Value) {
    list.push((name.to_owned(), value));
}

fn cpu(cpu: &Cpu, version: Version, list: &mut Vec<(String, Value)>) {
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        match version {
            Version::V1 => put(list, "CPUShares", Value::Number(shares)),
            Version::V2 if cpu.idle == Some(1) => {}
            Version::V2 => put(list, "CPUWeight", Value::Number(weight(shares))),
        }
    }
    let period = cpu.period.filter(|period| *period != 0);
    if let Some(period) = period {
        put(list, "CPUQuotaPeriodUSec", Value::Number(period));
    }
    if let Some(quota) = cpu.quota.filter(|quota| *quota != 0) {
        // Per second, and rounded up: systemd counts in hundredths of a CPU.
        let per_second = u64::try_from(quota).map_or(u64::MAX, |quota| {
            (quota.saturating_mul(1_000_000) / period.unwrap_or(100_000)).next_multiple_of(10_000)
        });
        put(list, "CPUQuotaPerSecUSec", Value::Number(per_second));
    }
}

fn memory(memory: &Memory, version: Version, list: &mut Vec<(String, Value)>) -> Result<(), CgroupError> {
    let set = |value: Option<i64>| value.filter(|value| *value != 0);
    let infinite = |value: i64| Value::Number(u64::try_from(value).unwrap_or(u64::MAX));
    let limit = set(memory.limit);
    if let Some(limit) = limit {
        put(list, if version == Version::V1 { "MemoryLimit" } else { "MemoryMax" }, infinite(limit));
    }
    if version == Version::V2 {
        if let Some(low) = set(memory.reservation) {
            put(list, "MemoryLow", infinite(low));
        }
        if let Some(swap) = memory_swap_alone(limit, set(memory.swap))? {
            put(list, "MemorySwapMax", infinite(swap));
        }
    }
    Ok(())
}

/// The bits of a list like `0-3,7`, the lowest first. The list's form was checked by `limit`.
fn mask(list: &str) -> Vec<u8> {
    let mut mask = Vec::new();
    for range in list.split(',') {
        let (from, to) = range.trim().split_once('-').unwrap_or((range.trim(), range.trim()));
        let (Ok(from), Ok(to)) = (from.parse::<u16>(), to.parse::<u16>()) else { continue };
        for bit in from..=to {
            let (byte, bit) = (usize::from(bit / 8), bit % 8);
            mask.resize(mask.len().max(byte + 1), 0);
            mask[byte] |= 1 << bit;
        }
    }
    mask
}

/// The device rules in systemd's words, for version 1, whose lists it writes again on a reload.
///
/// `groups` is `/proc/devices`, by which systemd names a whole major number. A rule that it has no
/// word for is left out: the runtime writes the exact list itself.
pub(in crate::cgroup) fn device_properties(policy: &Policy, groups: &str) -> Vec<(String, Value)> {
    if policy.allow {
        return vec![("DevicePolicy".to_owned(), Value::Text("auto".to_owned()))];
    }
    let group = |kind: Type, major: u32| {
        let (char_part, block_part) = groups.split_once("Block devices:").unwrap_or((groups, ""));
        let part = if kind == Type::Char { char_part } else { block_part };
        part.lines().find_map(|line| {
            let (number, name) = line.trim().split_once(' ')?;
            (number.parse() == Ok(major)).then(|| name.trim().to_owned())
        })
    };
    let allowed = policy.exceptions().filter_map(|(devices, access)| {
        let kind = if devices.kind == Type::Char { "char" } else { "block" };
        let name = match (devices.major, devices.minor) {
            (None, None) => format!("{kind}-*"),
            (Some(major), None) => format!("{kind}-{}", group(devices.kind, major)?),
            (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
            (None, Some(_)) => return None,
        };
        Some((name, access.to_string()))
    });
    vec![
        ("DevicePolicy".to_owned(), Value::Text("strict".to_owned())),
        ("DeviceAllow".to_owned(), Value::Pairs(Vec::new())),
        ("DeviceAllow".to_owned(), Value::Pairs(allowed.collect())),
    ]
}

#[cfg(test)]
mod tests {
    use longshore_types::ContainerId;

    use super::{Unit, Value, expand, mask, properties};
    use crate::cgroup::{Version, limit::Homes};

    fn unit(path: &str) -> Option<(String, String)> {
        let unit = Unit::parse(path, &ContainerId::new("web").unwrap()).ok()?;
        Some((unit.path(), unit.slice))
    }

    #[test]
    fn paths_of_scopes() {
        for (path, expected) in [
            ("", Some(("system.slice/runc-web.scope", "system.slice"))),
            (":libpod:1", Some(("system.slice/libpod-1.scope", "system.slice"))),
            ("a-b.slice:p:n", Some(("a.slice/a-b.slice/p-n.scope", "a-b.slice"))),
            ("-.slice:p:n", Some(("p-n.scope", "-.slice"))),
            ("/docker/1", None),
            ("a:b", None),
            ("a:b:c", None),
            ("a.slice:b:c:d", None),
            ("a.slice:b:../c", None),
            ("a.slice:b:", None),
            ("../a.slice:b:c", None),
        ] {
            let expected = expected.map(|(path, slice)| (path.to_owned(), slice.to_owned()));
            assert_eq!(unit(path), expected, "{path}");
        }
        assert_eq!(expand("a--b.slice"), None);
    }

    #[test]
    fn limits_in_the_words_of_systemd() {
        let controllers: Vec<String> =
            ["cpu", "cpuset", "memory", "pids", "blkio"].map(str::to_owned).to_vec();
        let resources = serde_json::from_str(
            r#"{"cpu":{"shares":1024,"quota":33333,"period":100000,"cpus":"0-1,9"},
                "memory":{"limit":4096,"swap":8192,"reservation":-1},"pids":{"limit":0}}"#,
        )
        .unwrap();
        let told = |version| {
            let list = properties(&resources, &Homes(vec![(version, &controllers)])).unwrap();
            let shown = list.into_iter().map(|(name, value)| match value {
                Value::Number(number) => format!("{name}={number}"),
                other => format!("{name}={other:?}"),
            });
            shown.collect::<Vec<_>>()
        };
        let bandwidth = ["CPUQuotaPeriodUSec=100000", "CPUQuotaPerSecUSec=340000"];
        assert_eq!(
            told(Version::V2),
            [
                &["CPUWeight=100"],
                &bandwidth[..],
                &[
                    "AllowedCPUs=Bytes([3, 2])",
                    "MemoryMax=4096",
                    "MemoryLow=18446744073709551615",
                    "MemorySwapMax=4096",
                    "TasksMax=18446744073709551615"
                ],
            ]
            .concat()
        );
        assert_eq!(told(Version::V1)[..3], [&["CPUShares=1024"], &bandwidth[..]].concat());
        assert_eq!(mask("3"), [8]);
    }
}
