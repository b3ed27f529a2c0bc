//! One reading of what a container uses.

use std::{collections::BTreeMap, fs, path::Path};

use longshore_runtime::cgroup::{self, Cgroup, CgroupError, Driver, GroupRecord, Layout, Version};
use longshore_types::Timestamp;

use super::{Error, system};
use crate::container::{Container, Record};

/// What a container uses at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub id: String,
    pub name: String,
    pub read: Timestamp,
    /// `None` where the container does not run.
    pub usage: Option<Usage>,
}

/// What its processes use.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// As the kernel's files have it; the limit of memory is not more than the machine has.
    pub cgroup: cgroup::Stats,
    /// Whether memory is in a hierarchy of version 2, where its numbers have other names.
    pub unified: bool,
    /// Time that all CPUs have spent, in ns.
    pub system_cpu: u64,
    pub online_cpus: u32,
    /// By name, without the loopback; empty where it has none of its own.
    pub networks: BTreeMap<String, Interface>,
}

/// What went through an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

impl Sample {
    /// Reads the kernel's files. Blocks.
    pub fn take(container: &Container) -> Result<Self, Error> {
        let record = container.record();
        let usage = match record.state.phase.has_processes() && record.state.pid > 0 {
            true => Some(usage(&record)?),
            false => None,
        };
        // One that ended meanwhile has no processes, and its numbers are zeros.
        let ended = !container.record().state.phase.has_processes();
        let usage = usage.filter(|_| !ended);
        let read = if usage.is_some() { Timestamp::now() } else { Timestamp::NEVER };
        Ok(Self { id: record.id.to_string(), name: record.name.clone(), read, usage })
    }
}

fn usage(record: &Record) -> Result<Usage, Error> {
    let fail = |source| Error::Cgroup { id: record.id.to_string(), source };
    let group = cgroup_of(record).map_err(fail)?;
    let mut stats = group.stats().map_err(fail)?;
    let (system_cpu, online_cpus) = system::cpu()?;
    let machine = system::memory();
    if machine > 0 {
        stats.memory.usage.limit = stats.memory.usage.limit.min(machine);
    }
    let memory = group.record().groups.into_iter();
    let memory = memory.filter(|group| group.controllers.iter().any(|name| name == "memory"));
    let unified = memory.map(|group| group.version).next() == Some(2);
    Ok(Usage { cgroup: stats, unified, system_cpu, online_cpus, networks: networks(record) })
}

/// Of the network namespace that the container is in.
fn networks(record: &Record) -> BTreeMap<String, Interface> {
    if record.host.network_mode == "host" {
        return BTreeMap::new();
    }
    // Where it has ended meanwhile there are none.
    parse_networks(&fs::read_to_string(format!("/proc/{}/net/dev", record.state.pid)).unwrap_or_default())
}

/// Two lines of titles, then `eth0: 1 2 …` with 8 numbers for each direction.
fn parse_networks(content: &str) -> BTreeMap<String, Interface> {
    let interface = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let n: Vec<u64> = numbers.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
        let &[
            rx_bytes,
            rx_packets,
            rx_errors,
            rx_dropped,
            _,
            _,
            _,
            _,
            tx_bytes,
            tx_packets,
            tx_errors,
            tx_dropped,
            ..,
        ] = n.as_slice()
        else {
            return None;
        };
        let interface = Interface {
            rx_bytes,
            rx_packets,
            rx_errors,
            rx_dropped,
            tx_bytes,
            tx_packets,
            tx_errors,
            tx_dropped,
        };
        Some((name.trim().to_owned(), interface)).filter(|(name, _)| name != "lo")
    };
    content.lines().filter_map(interface).collect()
}

/// The cgroups of a running container: where its first process is, or above that if it went into one of its own.
pub(crate) fn cgroup_of(record: &Record) -> Result<Cgroup, CgroupError> {
    let layout = Layout::of_process(record.state.pid)?;
    let groups = layout.hierarchies().iter().map(|hierarchy| GroupRecord {
        version: if hierarchy.version == Version::V1 { 1 } else { 2 },
        controllers: hierarchy.controllers.clone(),
        path: hierarchy.mountpoint.join(own(&hierarchy.own, record.id.as_str())),
    });
    Cgroup::open(&cgroup::Record { driver: Driver::Cgroupfs, unit: None, groups: groups.collect() })
}

/// The part of the path that ends with the container's own name.
fn own<'p>(path: &'p Path, id: &str) -> &'p Path {
    let named = |path: &&Path| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
            name == id || name.strip_suffix(".scope").is_some_and(|name| name.ends_with(id))
        })
    };
    path.ancestors().find(named).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_without_the_loopback() {
        let content = "Inter-|   Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
        let networks = parse_networks(content);
        assert_eq!(networks.keys().collect::<Vec<_>>(), ["eth0"]);
        let eth0 = networks["eth0"];
        assert_eq!((eth0.rx_bytes, eth0.rx_packets, eth0.rx_errors, eth0.rx_dropped), (1, 2, 3, 4));
        assert_eq!((eth0.tx_bytes, eth0.tx_packets, eth0.tx_errors, eth0.tx_dropped), (9, 10, 11, 12));
    }

    #[test]
    fn a_cgroup_of_its_own_making_is_left_out() {
        for (path, expected) in [
            ("longshore/abc", "longshore/abc"),
            ("longshore/abc/init.scope", "longshore/abc"),
            ("system.slice/longshore-abc.scope/x/y", "system.slice/longshore-abc.scope"),
            ("elsewhere", "elsewhere"),
            ("", ""),
        ] {
            assert_eq!(own(Path::new(path), "abc"), Path::new(expected));
        }
    }
}
