use super::{Cpuset, Hugetlb, MemoryEntry, Stats, block, content, number, page_sizes, pairs, parse, rdma};
use crate::cgroup::{CgroupError, Group};

/// `cpuacct.stat` counts in ticks of the user interface, 100 a second on every platform of Linux.
const NS_PER_TICK: u64 = 10_000_000;

pub(super) fn read(group: &Group, stats: &mut Stats) -> Result<(), CgroupError> {
    for controller in &group.controllers {
        match controller.as_str() {
            "cpu" => throttling(group, stats)?,
            "cpuacct" => usage(group, stats)?,
            "cpuset" => stats.cpuset = cpuset(group)?,
            "memory" => memory(group, stats)?,
            "pids" => {
                stats.pids.current = number(group, "pids.current")?;
                stats.pids.limit =
                    Some(number(group, "pids.max")?).filter(|max| *max != u64::MAX).unwrap_or(0);
            }
            "blkio" => block::read_v1(group, &mut stats.blkio)?,
            "hugetlb" => hugetlb(group, stats)?,
            "rdma" => {
                stats.rdma.rdma_current = rdma(&content(group, "rdma.current")?);
                stats.rdma.rdma_limit = rdma(&content(group, "rdma.max")?);
            }
            _ => {}
        }
    }
    Ok(())
}

fn throttling(group: &Group, stats: &mut Stats) -> Result<(), CgroupError> {
    for (key, value) in pairs(&content(group, "cpu.stat")?) {
        match key {
            "nr_periods" => stats.cpu.throttling.periods = value,
            "nr_throttled" => stats.cpu.throttling.throttled_periods = value,
            "throttled_time" => stats.cpu.throttling.throttled_time = value,
            _ => {}
        }
    }
    Ok(())
}

fn usage(group: &Group, stats: &mut Stats) -> Result<(), CgroupError> {
    let usage = &mut stats.cpu.usage;
    usage.total = number(group, "cpuacct.usage")?;
    usage.percpu = content(group, "cpuacct.usage_percpu")?.split_whitespace().map(parse).collect();
    for (key, ticks) in pairs(&content(group, "cpuacct.stat")?) {
        match key {
            "user" => usage.user = ticks * NS_PER_TICK,
            "system" => usage.kernel = ticks * NS_PER_TICK,
            _ => {}
        }
    }
    // A head `cpu user system`, then a line per CPU.
    for line in content(group, "cpuacct.usage_all")?.lines().skip(1) {
        let mut fields = line.split(' ').skip(1).map(parse);
        if let (Some(user), Some(kernel)) = (fields.next(), fields.next()) {
            usage.percpu_user.push(user);
            usage.percpu_kernel.push(kernel);
        }
    }
    Ok(())
}

fn cpuset(group: &Group) -> Result<Cpuset, CgroupError> {
    let number = |name: &str| number(group, &format!("cpuset.{name}"));
    Ok(Cpuset {
        cpus: list(&content(group, "cpuset.cpus")?),
        cpu_exclusive: number("cpu_exclusive")?,
        mems: list(&content(group, "cpuset.mems")?),
        mem_hardwall: number("mem_hardwall")?,
        mem_exclusive: number("mem_exclusive")?,
        memory_migrate: number("memory_migrate")?,
        memory_spread_page: number("memory_spread_page")?,
        memory_spread_slab: number("memory_spread_slab")?,
        memory_pressure: number("memory_pressure")?,
        sched_load_balance: number("sched_load_balance")?,
        sched_relax_domain_level: content(group, "cpuset.sched_relax_domain_level")?
            .trim()
            .parse()
            .unwrap_or(0),
    })
}

/// The numbers of a list like `0-3,7`.
fn list(text: &str) -> Vec<u16> {
    let ranges = text.trim().split(',').filter_map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        Some(from.parse::<u16>().ok()?..=to.parse::<u16>().ok()?)
    });
    ranges.flatten().collect()
}

fn memory(group: &Group, stats: &mut Stats) -> Result<(), CgroupError> {
    let memory = &mut stats.memory;
    memory.raw = pairs(&content(group, "memory.stat")?).map(|(key, value)| (key.to_owned(), value)).collect();
    memory.cache = memory.raw.get("cache").copied().unwrap_or(0);
    memory.usage = entry(group, "memory")?;
    memory.swap = entry(group, "memory.memsw")?;
    memory.kernel = entry(group, "memory.kmem")?;
    memory.kernel_tcp = entry(group, "memory.kmem.tcp")?;
    Ok(())
}

fn entry(group: &Group, prefix: &str) -> Result<MemoryEntry, CgroupError> {
    let number = |name: &str| number(group, &format!("{prefix}.{name}"));
    Ok(MemoryEntry {
        limit: number("limit_in_bytes")?,
        usage: number("usage_in_bytes")?,
        max: number("max_usage_in_bytes")?,
        failcnt: number("failcnt")?,
    })
}

fn hugetlb(group: &Group, stats: &mut Stats) -> Result<(), CgroupError> {
    for size in page_sizes() {
        let reserved = format!("hugetlb.{size}.rsvd");
        let counts_reserved = !content(group, &format!("{reserved}.usage_in_bytes"))?.is_empty();
        let prefix = if counts_reserved { reserved } else { format!("hugetlb.{size}") };
        let number = |name: &str| number(group, &format!("{prefix}.{name}"));
        let usage = Hugetlb {
            usage: number("usage_in_bytes")?,
            max: number("max_usage_in_bytes")?,
            failcnt: number("failcnt")?,
        };
        stats.hugetlb.insert(size, usage);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn lists_of_numbers() {
        assert_eq!(list("0-2,7\n"), [0, 1, 2, 7]);
        assert_eq!(list("\n"), [0; 0]);
    }
}
