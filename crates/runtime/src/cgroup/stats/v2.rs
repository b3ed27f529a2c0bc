use super::{
    Cpu, Hugetlb, Memory, MemoryEntry, Pids, Stats, block, content, number, page_sizes, pairs, pressure, rdma,
};
use crate::cgroup::{CgroupError, Group};

/// Reads version 2. Beside version 1 (`alone` is false) only the controllers that live here:
/// `cpu.stat` is in every version 2 cgroup, and would hide version 1's finer numbers.
pub(super) fn read(group: &Group, alone: bool, stats: &mut Stats) -> Result<(), CgroupError> {
    let has = |controller: &str| group.controllers.iter().any(|name| name == controller);
    if alone || has("cpu") {
        stats.cpu = cpu(group)?;
    }
    if has("memory") {
        stats.memory = memory(group)?;
    }
    if has("pids") {
        stats.pids = pids(group)?;
    }
    if has("io") {
        stats.blkio = block::read_v2(&content(group, "io.stat")?);
        stats.blkio.psi = pressure(&content(group, "io.pressure")?);
    }
    if has("hugetlb") {
        for size in page_sizes() {
            let reserved = content(group, &format!("hugetlb.{size}.rsvd.current"))?;
            let usage = if reserved.is_empty() {
                number(group, &format!("hugetlb.{size}.current"))?
            } else {
                super::parse(&reserved)
            };
            let events = content(group, &format!("hugetlb.{size}.events"))?;
            let failcnt = pairs(&events).find(|(key, _)| *key == "max").map_or(0, |(_, count)| count);
            stats.hugetlb.insert(size, Hugetlb { usage, max: 0, failcnt });
        }
    }
    if has("rdma") {
        stats.rdma.rdma_current = rdma(&content(group, "rdma.current")?);
        stats.rdma.rdma_limit = rdma(&content(group, "rdma.max")?);
    }
    Ok(())
}

fn cpu(group: &Group) -> Result<Cpu, CgroupError> {
    let mut cpu = Cpu::default();
    for (key, value) in pairs(&content(group, "cpu.stat")?) {
        match key {
            "usage_usec" => cpu.usage.total = value * 1000,
            "user_usec" => cpu.usage.user = value * 1000,
            "system_usec" => cpu.usage.kernel = value * 1000,
            "nr_periods" => cpu.throttling.periods = value,
            "nr_throttled" => cpu.throttling.throttled_periods = value,
            "throttled_usec" => cpu.throttling.throttled_time = value * 1000,
            _ => {}
        }
    }
    cpu.psi = pressure(&content(group, "cpu.pressure")?);
    Ok(cpu)
}

fn memory(group: &Group) -> Result<Memory, CgroupError> {
    let raw: std::collections::BTreeMap<String, u64> =
        pairs(&content(group, "memory.stat")?).map(|(key, value)| (key.to_owned(), value)).collect();
    let entry = |prefix: &str| -> Result<MemoryEntry, CgroupError> {
        let number = |name: &str| number(group, &format!("{prefix}.{name}"));
        Ok(MemoryEntry { limit: number("max")?, usage: number("current")?, max: number("peak")?, failcnt: 0 })
    };
    let (usage, mut swap) = (entry("memory")?, entry("memory.swap")?);
    // As version 1 has it: the sum, whose peak nobody knows.
    swap.usage += usage.usage;
    swap.limit = swap.limit.saturating_add(usage.limit);
    swap.max = 0;
    let cache = raw.get("file").copied().unwrap_or(0);
    let psi = pressure(&content(group, "memory.pressure")?);
    Ok(Memory { cache, usage, swap, raw, psi, ..Memory::default() })
}

fn pids(group: &Group) -> Result<Pids, CgroupError> {
    let limit = number(group, "pids.max")?;
    Ok(Pids { current: number(group, "pids.current")?, limit: if limit == u64::MAX { 0 } else { limit } })
}
