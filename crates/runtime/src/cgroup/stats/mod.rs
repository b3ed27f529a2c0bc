//! What a container uses: the `data` of `runc events --stats`, name by name (runc: `types/events.go`).

mod block;
mod v1;
mod v2;

use std::{collections::BTreeMap, io};

use serde::Serialize;

use super::{Cgroup, CgroupError, Group, file, layout::Version, process::gone};

/// One reading of all controllers. Times in ns, amounts in bytes; a controller that the container
/// has not is all zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    pub cpu: Cpu,
    pub cpuset: Cpuset,
    pub memory: Memory,
    pub pids: Pids,
    pub blkio: Blkio,
    /// By size of page (`2MB`).
    pub hugetlb: BTreeMap<String, Hugetlb>,
    #[serde(skip_serializing_if = "Rdma::is_empty")]
    pub rdma: Rdma,
    /// Always empty here, and in runc without that hardware.
    pub intel_rdt: IntelRdt,
    /// Always null here, and in runc, which knows no other interface than the loopback one.
    pub network_interfaces: Option<()>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IntelRdt {}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn zero(value: &u64) -> bool {
    *value == 0
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    pub usage: CpuUsage,
    pub throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CpuUsage {
    #[serde(skip_serializing_if = "zero")]
    pub total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    pub kernel: u64,
    pub user: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    #[serde(skip_serializing_if = "zero")]
    pub periods: u64,
    #[serde(skip_serializing_if = "zero")]
    pub throttled_periods: u64,
    #[serde(skip_serializing_if = "zero")]
    pub throttled_time: u64,
}

/// Pressure stall information: shares of time in percent, `total` in µs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Psi {
    pub some: PsiLine,
    pub full: PsiLine,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PsiLine {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total: u64,
}

/// Version 1 alone fills it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    #[serde(skip_serializing_if = "zero")]
    pub cache: u64,
    pub usage: MemoryEntry,
    /// Memory and swap together, in version 2 too.
    pub swap: MemoryEntry,
    pub kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// No limit is `u64::MAX` in version 2, and the kernel's own large number in version 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemoryEntry {
    pub limit: u64,
    #[serde(skip_serializing_if = "zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "zero")]
    pub max: u64,
    pub failcnt: u64,
}

/// A limit of 0 is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pids {
    #[serde(skip_serializing_if = "zero")]
    pub current: u64,
    #[serde(skip_serializing_if = "zero")]
    pub limit: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blkio {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(rename = "ioQueueRecursive", skip_serializing_if = "Vec::is_empty")]
    pub io_queued_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlkioEntry {
    #[serde(skip_serializing_if = "zero")]
    pub major: u64,
    #[serde(skip_serializing_if = "zero")]
    pub minor: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    #[serde(skip_serializing_if = "zero")]
    pub value: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Hugetlb {
    #[serde(skip_serializing_if = "zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "zero")]
    pub max: u64,
    pub failcnt: u64,
}

/// Not in runc's output, whose library has it in this form.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rdma {
    pub rdma_limit: Vec<RdmaEntry>,
    pub rdma_current: Vec<RdmaEntry>,
}

impl Rdma {
    fn is_empty(&self) -> bool {
        self.rdma_limit.is_empty() && self.rdma_current.is_empty()
    }
}

/// No limit is `u32::MAX`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RdmaEntry {
    pub device: String,
    pub hca_handles: u32,
    pub hca_objects: u32,
}

impl Cgroup {
    /// Reads what the container uses.
    ///
    /// A file that this kernel has not counts as zero.
    pub fn stats(&self) -> Result<Stats, CgroupError> {
        let mut stats = Stats::default();
        for group in &self.groups {
            match group.version {
                Version::V1 => v1::read(group, &mut stats)?,
                Version::V2 => v2::read(group, self.groups.len() == 1, &mut stats)?,
            }
        }
        Ok(stats)
    }
}

/// The content of a file; empty where it, or the cgroup, is not there.
fn content(group: &Group, name: &str) -> Result<String, CgroupError> {
    match file::read(&group.dir, name) {
        Ok(content) => Ok(content),
        // Pressure that is not being recorded cannot be read.
        Err(error) if gone(&error) || error.kind() == io::ErrorKind::Unsupported => Ok(String::new()),
        Err(source) => Err(CgroupError::Read { path: group.path.join(name), source }),
    }
}

/// One number; `max` is `u64::MAX`, and a negative one, which the kernel shows for a moment where
/// its counters per CPU are not summed up, is 0.
fn parse(text: &str) -> u64 {
    match text.trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or(0),
    }
}

fn number(group: &Group, name: &str) -> Result<u64, CgroupError> {
    Ok(parse(&content(group, name)?))
}

/// Lines of `key number`.
fn pairs(content: &str) -> impl Iterator<Item = (&str, u64)> {
    content.lines().filter_map(|line| line.split_once(' ')).map(|(key, value)| (key, parse(value)))
}

/// Lines of `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and `full …`.
fn pressure(content: &str) -> Option<Psi> {
    let mut psi = Psi::default();
    for line in content.lines() {
        let mut fields = line.split(' ');
        let into = match fields.next() {
            Some("some") => &mut psi.some,
            Some("full") => &mut psi.full,
            _ => continue,
        };
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            match key {
                "avg10" => into.avg10 = value.parse().unwrap_or(0.0),
                "avg60" => into.avg60 = value.parse().unwrap_or(0.0),
                "avg300" => into.avg300 = value.parse().unwrap_or(0.0),
                "total" => into.total = parse(value),
                _ => {}
            }
        }
    }
    (!content.is_empty()).then_some(psi)
}

/// Lines of `mlx4_0 hca_handle=2 hca_object=max`.
fn rdma(content: &str) -> Vec<RdmaEntry> {
    let limit = |value: &str| if value == "max" { u32::MAX } else { value.parse().unwrap_or(0) };
    content
        .lines()
        .map(|line| {
            let mut fields = line.split_whitespace();
            let mut entry =
                RdmaEntry { device: fields.next().unwrap_or("").to_owned(), ..RdmaEntry::default() };
            for field in fields.filter_map(|field| field.split_once('=')) {
                match field {
                    ("hca_handle", value) => entry.hca_handles = limit(value),
                    ("hca_object", value) => entry.hca_objects = limit(value),
                    _ => {}
                }
            }
            entry
        })
        .collect()
}

/// The kernel's sizes of huge pages as cgroup files name them (`2MB`, `1GB`).
fn page_sizes() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/sys/kernel/mm/hugepages") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| page_size(&name)).collect()
}

/// The size of a directory `hugepages-2048kB`.
fn page_size(name: &str) -> Option<String> {
    let kilobytes: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kilobytes {
        0..1024 => format!("{kilobytes}KB"),
        1024..1_048_576 => format!("{}MB", kilobytes >> 10),
        _ => format!("{}GB", kilobytes >> 20),
    })
}

#[cfg(test)]
mod tests {
    use super::{Stats, page_size, pressure, rdma};

    #[test]
    fn zeros_are_left_out_where_runc_leaves_them_out() {
        let json = serde_json::to_value(Stats::default()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "cpu": {"usage": {"kernel": 0, "user": 0}, "throttling": {}},
                "cpuset": {
                    "cpu_exclusive": 0, "mem_hardwall": 0, "mem_exclusive": 0, "memory_migrate": 0,
                    "memory_spread_page": 0, "memory_spread_slab": 0, "memory_pressure": 0,
                    "sched_load_balance": 0, "sched_relax_domain_level": 0
                },
                "memory": {
                    "usage": {"limit": 0, "failcnt": 0}, "swap": {"limit": 0, "failcnt": 0},
                    "kernel": {"limit": 0, "failcnt": 0}, "kernelTCP": {"limit": 0, "failcnt": 0}
                },
                "pids": {}, "blkio": {}, "hugetlb": {}, "intel_rdt": {}, "network_interfaces": null
            })
        );
    }

    #[test]
    fn files_of_the_kernel() {
        let psi = pressure(
            "some avg10=1.50 avg60=0.20 avg300=0.00 total=42\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
        );
        let psi = psi.unwrap();
        assert_eq!((psi.some.avg10, psi.some.total, psi.full.total), (1.5, 42, 7));
        assert_eq!(pressure(""), None);
        let rdma = rdma("mlx4_0 hca_handle=2 hca_object=max\n");
        assert_eq!((&*rdma[0].device, rdma[0].hca_handles, rdma[0].hca_objects), ("mlx4_0", 2, u32::MAX));
        for (name, size) in [("64kB", "64KB"), ("2048kB", "2MB"), ("1048576kB", "1GB")] {
            assert_eq!(page_size(&format!("hugepages-{name}")).as_deref(), Some(size));
        }
    }
}
