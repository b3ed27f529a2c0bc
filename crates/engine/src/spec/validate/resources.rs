use longshore_types::container::Resources;

use super::Invalid;
use crate::spec::{Error, Host, process};

/// The least memory that a program runs in, in bytes.
const MIN_MEMORY: i64 = 6 << 20;

/// Checks limits; takes away those that this kernel does not know.
pub(super) fn check(
    resources: &mut Resources,
    host: &Host,
    update: bool,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    realtime(resources, host)?;
    memory(resources, host, update, warnings)?;
    tasks(resources, host, warnings);
    cpu(resources, host, warnings)?;
    cpusets(resources, host, warnings)?;
    block_io(resources, host, warnings)?;
    for limit in resources.ulimits.iter().flatten() {
        process::check_ulimit(limit)?;
    }
    for rule in resources.device_cgroup_rules.iter().flatten() {
        crate::spec::device::parse_rule(rule)?;
    }
    Ok(())
}

fn realtime(resources: &Resources, host: &Host) -> Result<(), Invalid> {
    let (period, runtime) = (resources.cpu_realtime_period, resources.cpu_realtime_runtime);
    if (period != 0 || runtime != 0) && !host.cpu_realtime {
        return Err(Invalid::NoRealtime);
    }
    if period != 0 && runtime != 0 && runtime > period {
        return Err(Invalid::Realtime);
    }
    if host.cpu_shares && resources.cpu_shares < 0 {
        return Err(Invalid::Shares { shares: resources.cpu_shares });
    }
    if resources.io_maximum_bandwidth != 0 {
        return Err(Invalid::Bandwidth);
    }
    if resources.io_maximum_iops != 0 {
        return Err(Invalid::Iops);
    }
    Ok(())
}

fn memory(
    resources: &mut Resources,
    host: &Host,
    update: bool,
    warnings: &mut Vec<String>,
) -> Result<(), Invalid> {
    let mut warn = |text: &str| warnings.push(text.to_owned());
    // −1 inherits, as absence does.
    resources.memory_swappiness = resources.memory_swappiness.filter(|value| *value != -1);
    if resources.memory != 0 && resources.memory < MIN_MEMORY {
        return Err(Invalid::Memory);
    }
    if resources.memory_swap < -1 {
        return Err(Invalid::NegativeSwap { swap: resources.memory_swap });
    }
    if resources.memory > 0 && !host.memory_limit {
        warn(
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
        );
        (resources.memory, resources.memory_swap) = (0, -1);
    }
    if resources.memory > 0 && resources.memory_swap != -1 && !host.swap_limit {
        warn(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
        );
        resources.memory_swap = -1;
    }
    let swap = resources.memory_swap;
    if resources.memory > 0 && swap > 0 && swap < resources.memory {
        return Err(Invalid::SwapBelowMemory);
    }
    if resources.memory == 0 && swap > 0 && !update {
        return Err(Invalid::SwapAlone);
    }
    if resources.memory_swappiness.is_some() && !host.memory_swappiness {
        warn(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
        );
        resources.memory_swappiness = None;
    }
    if let Some(value) = resources.memory_swappiness
        && !(0..=100).contains(&value)
    {
        return Err(Invalid::Swappiness { value });
    }
    if resources.memory_reservation > 0 && !host.memory_reservation {
        warn(
            "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.",
        );
        resources.memory_reservation = 0;
    }
    if resources.memory_reservation != 0 && resources.memory_reservation < MIN_MEMORY {
        return Err(Invalid::Reservation);
    }
    if resources.memory > 0 && resources.memory < resources.memory_reservation {
        return Err(Invalid::MemoryBelowReservation);
    }
    Ok(())
}

fn tasks(resources: &mut Resources, host: &Host, warnings: &mut Vec<String>) {
    let mut warn = |text: &str| warnings.push(text.to_owned());
    if resources.oom_kill_disable.is_some() && !host.oom_kill_disable {
        if resources.oom_kill_disable == Some(true) {
            warn("Your kernel does not support OomKillDisable. OomKillDisable discarded.");
        }
        resources.oom_kill_disable = None;
    }
    if resources.oom_kill_disable == Some(true) && resources.memory == 0 {
        warn(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
        );
    }
    if let Some(limit) = resources.pids_limit
        && !host.pids_limit
    {
        if limit > 0 {
            warn(
                "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
            );
        }
        resources.pids_limit = None;
    }
}

fn cpu(resources: &mut Resources, host: &Host, warnings: &mut Vec<String>) -> Result<(), Invalid> {
    let mut warn = |text: &str| warnings.push(text.to_owned());
    let nano = resources.nano_cpus;
    if nano > 0 && resources.cpu_period > 0 {
        return Err(Invalid::NanoCpus { other: "Period" });
    }
    if nano > 0 && resources.cpu_quota > 0 {
        return Err(Invalid::NanoCpus { other: "Quota" });
    }
    if nano > 0 && !host.cpu_bandwidth {
        return Err(Invalid::NoBandwidth);
    }
    let most = i64::try_from(host.cpus).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    if nano < 0 || nano > most {
        return Err(Invalid::Cpus { cpus: host.cpus });
    }
    if resources.cpu_shares > 0 && !host.cpu_shares {
        warn("Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.");
        resources.cpu_shares = 0;
    }
    if (resources.cpu_period != 0 || resources.cpu_quota != 0) && !host.cpu_bandwidth {
        warn("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.");
        (resources.cpu_period, resources.cpu_quota) = (0, 0);
    }
    if resources.cpu_period != 0 && !(1000..=1_000_000).contains(&resources.cpu_period) {
        return Err(Invalid::Period);
    }
    if resources.cpu_quota > 0 && resources.cpu_quota < 1000 {
        return Err(Invalid::Quota);
    }
    if resources.cpu_percent > 0 {
        warn("linux does not support CPU percent. Percent discarded.");
        resources.cpu_percent = 0;
    }
    Ok(())
}

fn cpusets(resources: &mut Resources, host: &Host, warnings: &mut Vec<String>) -> Result<(), Invalid> {
    let given = !resources.cpuset_cpus.is_empty() || !resources.cpuset_mems.is_empty();
    if given && !host.cpuset {
        let text = "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.";
        warnings.push(text.into());
        resources.cpuset_cpus.clear();
        resources.cpuset_mems.clear();
    }
    let (list, available) = (resources.cpuset_cpus.clone(), host.cpuset_cpus.clone());
    if !within(&list, &available).ok_or_else(|| Invalid::Cpuset { what: "cpus", list: list.clone() })? {
        return Err(Invalid::CpusAbsent { list, available });
    }
    let (list, available) = (resources.cpuset_mems.clone(), host.cpuset_mems.clone());
    if !within(&list, &available).ok_or_else(|| Invalid::Cpuset { what: "mems", list: list.clone() })? {
        return Err(Invalid::NodesAbsent { list, available });
    }
    Ok(())
}

/// Whether all numbers of a list are in another; `None` for what is no list.
fn within(list: &str, available: &str) -> Option<bool> {
    let (list, available) = (ranges(list)?, ranges(available)?);
    let has = |number| available.iter().any(|(first, last)| (*first..=*last).contains(&number));
    Some(list.iter().all(|(first, last)| (*first..=*last).all(has)))
}

/// `0-3,7`; at most 8192 processors, as the kernel has it.
fn ranges(list: &str) -> Option<Vec<(u32, u32)>> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number < 8192);
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        number(first).zip(number(last)).filter(|(first, last)| first <= last)
    };
    list.split(',').filter(|_| !list.is_empty()).map(range).collect()
}

fn block_io(resources: &mut Resources, host: &Host, warnings: &mut Vec<String>) -> Result<(), Invalid> {
    let mut warn = |text: &str| warnings.push(text.to_owned());
    if resources.blkio_weight > 0 && !host.blkio_weight {
        warn("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.");
        resources.blkio_weight = 0;
    }
    if resources.blkio_weight != 0 && !(10..=1000).contains(&resources.blkio_weight) {
        return Err(Invalid::Weight);
    }
    let given = resources.blkio_weight_device.as_ref().is_some_and(|devices| !devices.is_empty());
    if given && !host.blkio_weight {
        warn(
            "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
        );
        resources.blkio_weight_device = Some(Vec::new());
    }
    for weight in resources.blkio_weight_device.iter().flatten().map(|device| device.weight) {
        if weight != 0 && !(10..=1000).contains(&weight) {
            return Err(Invalid::Weight);
        }
    }
    for (devices, text) in [
        (
            &mut resources.blkio_device_read_bps,
            "BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit",
        ),
        (
            &mut resources.blkio_device_write_bps,
            "BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit",
        ),
        (
            &mut resources.blkio_device_read_iops,
            "IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit",
        ),
        (
            &mut resources.blkio_device_write_iops,
            "IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit",
        ),
    ] {
        if devices.as_ref().is_some_and(|devices| !devices.is_empty()) && !host.blkio_throttle {
            warn(&format!("Your kernel does not support {text} discarded."));
            *devices = Some(Vec::new());
        }
    }
    Ok(())
}
